use super::*;
use crate::testing::TestState;

/// Accepts the n-th attempt at the build, with a package of a version and its libraries.
async fn accept(state: &TestState, number: i64, sonames: &str, are_known: bool) {
    let attempt = AttemptId::new();
    let mut tx = state.database.write().await.unwrap();
    let rows = "insert into attempt (id, build_id, number, claim, worker, token_id, status,
            lease_expires_at, created_at)
        values (?1, 1, ?2, ?1, 'w', 1, 'succeeded', 1, 1);
        insert into package (attempt_id, file_name, pkgname, version, architecture, size, sha256,
            desc_entry, files_entry, sonames)
        values (?1, 'f', 'a', '1-' || ?2, 'x86_64', 1, 'h', '', '', ?3)";
    for statement in rows.split(';') {
        sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(attempt)
            .bind(number)
            .bind(sonames)
            .execute(tx.connection())
            .await
            .unwrap();
    }
    insert(&mut tx, attempt, are_known).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn counts_changes_of_what_packages_link() {
    let state = TestState::with_a_build().await;
    let architecture = "x86_64".parse().unwrap();
    let changes = async || changes(state.database.read(), &architecture).await.unwrap();
    accept(&state, 1, "", false).await;
    assert_eq!(changes().await, 0);
    accept(&state, 2, "", true).await;
    assert_eq!(changes().await, 1);
    accept(&state, 3, "has 64 liba.so.1", true).await;
    assert_eq!(changes().await, 2);
}

#[tokio::test]
async fn keeps_the_newest_versions_of_a_package() {
    let state = TestState::with_a_build().await;
    let architecture = "x86_64".parse().unwrap();
    for number in 1..=KEPT_VERSIONS + 1 {
        accept(&state, number, "", number > 1).await;
    }
    let kept = all(state.database.read(), &architecture).await.unwrap();
    let versions: Vec<_> = kept.iter().map(|row| row.version.as_str()).collect();
    assert_eq!(kept.len(), 8);
    assert!(!versions.contains(&"1-1"), "{versions:?}");
    assert!(versions.contains(&"1-9"), "{versions:?}");
}
