use super::*;
use crate::testing::TestState;

const ID: &str = "0198c0de-0000-7000-8000-000000000001";

/// Returns a state with a running attempt at a build.
async fn state() -> TestState {
    let state = TestState::with_a_build().await;
    state
        .sql(
            "insert into attempt (id, build_id, number, claim, worker, token_id, status,
                 lease_expires_at, created_at)
             values ('0198c0de-0000-7000-8000-000000000001', 1, 1, 'c', 'w', 1, 'running', 1, 1)",
        )
        .await;
    state
}

#[tokio::test]
async fn stores_no_package_of_invalid_token_or_ended_attempt() {
    let state = state().await;
    let put = async |version: &str| {
        let file_name: PackageFileName = format!("a-{version}-any.pkg.tar.zst").parse().unwrap();
        let row = PackageRow {
            attempt: ID.parse().unwrap(),
            pkgname: file_name.pkgname(),
            version: file_name.version(),
            architecture: file_name.architecture(),
            size: 1,
            sha256: Sha256Digest::from_bytes(&[0; 32]),
            file_name,
        };
        let contents = Contents {
            entries: Entries {
                desc: String::new(),
                files: String::new(),
            },
            sonames: String::new(),
        };
        let mut tx = state.database.write().await.unwrap();
        let stored = put(&mut tx, TokenId(1), &row, &contents).await.unwrap();
        tx.commit().await.unwrap();
        let rows = of_attempt(state.database.read(), row.attempt).await;
        (stored, rows.unwrap().len())
    };
    assert_eq!(put("1-1").await, (true, 1));
    assert_eq!(put("1-1").await, (true, 1));
    state.sql("update token set expires_at = 1").await;
    assert_eq!(put("2-1").await, (false, 1));
    state
        .sql("update token set expires_at = null, revoked_at = 1")
        .await;
    assert_eq!(put("2-1").await, (false, 1));
    state.sql("update token set revoked_at = null").await;
    assert_eq!(put("2-1").await, (true, 2));
    state.sql("update attempt set status = 'succeeded'").await;
    assert_eq!(put("3-1").await, (false, 2));
}

#[tokio::test]
async fn reads_short_file_lists_together() {
    let state = state().await;
    let attempt: AttemptId = ID.parse().unwrap();
    state
        .sql(
            "insert into package (attempt_id, file_name, pkgname, version, architecture, size,
                 sha256, desc_entry, files_entry)
             select attempt.id, value || '-1-1-any.pkg.tar.zst', value, '1-1', 'any', 1, 'h',
                 'desc ' || value, 'files'
             from attempt, json_each('[\"a\", \"b\", \"c\", \"d\"]')",
        )
        .await;
    let names = ["d", "a", "x", "c"].map(|name| {
        let name: PackageFileName = format!("{name}-1-1-any.pkg.tar.zst").parse().unwrap();
        name
    });
    let read = async |count: usize, bytes: i64| -> Vec<String> {
        let wanted: Vec<_> = names[..count].iter().map(|name| (attempt, name)).collect();
        let read = entries(state.database.read(), &wanted, bytes).await;
        read.unwrap().into_iter().map(|entry| entry.desc).collect()
    };
    assert_eq!(read(2, 100).await, ["desc d", "desc a"]);
    // A list is read whole, whatever its length.
    assert_eq!(read(2, 0).await, ["desc d"]);
    assert_eq!(read(2, 5).await, ["desc d", "desc a"]);
    // x was removed meanwhile.
    assert_eq!(read(4, 100).await, ["desc d", "desc a"]);
}
