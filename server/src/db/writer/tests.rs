use super::*;
use crate::db::Database;

async fn names(database: &Database) -> Vec<String> {
    let names = sqlx::query_scalar("select name from worker order by name");
    names.fetch_all(database.read()).await.unwrap()
}

async fn insert(tx: &mut WriteTransaction, name: &str) {
    sqlx::query("insert into worker values (?, 'x86_64', 1, 0)")
        .bind(name)
        .execute(tx.connection())
        .await
        .unwrap();
}

async fn opened() -> (tempfile::TempDir, Database) {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(&folder.path().join("db"), Clock::default())
        .await
        .unwrap();
    (folder, database)
}

#[tokio::test]
async fn rolls_back_dropped_write_and_keeps_others_of_its_batch() {
    let (_folder, database) = opened().await;
    let writes = (0..300).map(|number| {
        let database = database.clone();
        tokio::spawn(async move {
            let mut tx = database.write().await.unwrap();
            insert(&mut tx, &format!("{number:03}")).await;
            if number % 3 == 0 {
                drop(tx);
                return None;
            }
            tx.commit().await.unwrap();
            // Durable once it is acknowledged: another connection sees it.
            assert!(names(&database).await.contains(&format!("{number:03}")));
            Some(format!("{number:03}"))
        })
    });
    let mut expected = Vec::new();
    for write in writes.collect::<Vec<_>>() {
        expected.extend(write.await.unwrap());
    }
    expected.sort();
    assert_eq!(names(&database).await, expected);
    assert_eq!(expected.len(), 200);
}

#[tokio::test]
async fn commits_earlier_writes_of_the_batch_on_rollback() {
    let (_folder, database) = opened().await;
    let mut first = database.write().await.unwrap();
    insert(&mut first, "first").await;
    let second = {
        let database = database.clone();
        tokio::spawn(async move {
            let mut tx = database.write().await.unwrap();
            insert(&mut tx, "second").await;
            let seen = sqlx::query_scalar("select name from worker order by name");
            let seen: Vec<String> = seen.fetch_all(tx.connection()).await.unwrap();
            assert_eq!(seen, ["first", "second"]);
            // It is in the queue before the committer.
            assert_eq!(names(&database).await, [""; 0]);
            tx.undo().await.unwrap();
            names(&database).await
        })
    };
    tokio::task::yield_now().await;
    first.commit().await.unwrap();
    assert_eq!(second.await.unwrap(), ["first"]);
}

#[tokio::test]
async fn cancelling_a_write_at_any_point_affects_no_other_write() {
    use futures_util::FutureExt as _;
    let (_folder, database) = opened().await;
    for polls in 1..40 {
        let mut write = Box::pin(async {
            let mut tx = database.write().await.unwrap();
            insert(&mut tx, "cancelled").await;
            insert(&mut tx, "cancelled too").await;
            std::future::pending::<()>().await;
        });
        for _ in 0..polls {
            assert!((&mut write).now_or_never().is_none());
            tokio::task::yield_now().await;
        }
        drop(write);
        let mut tx = database.write().await.unwrap();
        insert(&mut tx, &format!("kept{polls:02}")).await;
        tx.commit().await.unwrap();
        assert_eq!(names(&database).await.len(), polls);
    }
}

#[tokio::test]
async fn fails_whole_batch_when_sqlite_rolls_back() {
    let (_folder, database) = opened().await;
    let mut first = database.write().await.unwrap();
    insert(&mut first, "first").await;
    let second = {
        let database = database.clone();
        tokio::spawn(async move {
            let mut tx = database.write().await.unwrap();
            insert(&mut tx, "second").await;
            // As with a full disk.
            sqlx::query("ROLLBACK")
                .execute(tx.connection())
                .await
                .unwrap();
        })
    };
    // The second one is in the queue before the committer.
    tokio::task::yield_now().await;
    assert!(first.commit().await.is_err());
    second.await.unwrap();
    assert_eq!(names(&database).await, [""; 0]);
    let mut third = database.write().await.unwrap();
    insert(&mut third, "third").await;
    third.commit().await.unwrap();
    assert_eq!(names(&database).await, ["third"]);
}

#[tokio::test]
async fn announces_the_end_of_the_committer() {
    let (_folder, database) = opened().await;
    let committer_ended = database.writer.committer_ended.clone();
    let mut tx = database.write().await.unwrap();
    insert(&mut tx, "first").await;
    tx.commit().await.unwrap();
    assert!(!committer_ended.is_cancelled());
    drop(database);
    committer_ended.cancelled().await;
}
