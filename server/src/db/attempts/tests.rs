use super::*;
use crate::db::packages;
use crate::testing::TestState;

const ID: &str = "0198c0de-0000-7000-8000-000000000001";

/// A running attempt at the first build, and another build of its iteration whose packages were accepted. Both have a
/// package of the same file name.
const ROWS: [&str; 4] = [
    "insert into build (id, iteration_id, architecture, pkgbase, stage, level, position, commit_hash,
         commit_time, clone_url, srcinfo_sha256, version, reason, estimate_s, priority_s, status,
         missing_dependencies)
     select 2, 1, 'x86_64', 'second', 1, 0, 1, commit_hash, 1, 'u', srcinfo_sha256, '1-1', 'second',
         1, 1, 'built', 0 from build",
    "insert into attempt (id, build_id, number, claim, worker, token_id, status, lease_expires_at,
         created_at)
     values ('0198c0de-0000-7000-8000-000000000001', 1, 1, 'c1', 'w', 1, 'running', 1, 1),
         ('0198c0de-0000-7000-8000-000000000002', 2, 1, 'c2', 'w', 1, 'succeeded', 1, 1)",
    "update build set packages_attempt_id = '0198c0de-0000-7000-8000-000000000002' where id = 2",
    "insert into package (attempt_id, file_name, pkgname, version, architecture, size, sha256,
         desc_entry, files_entry)
     select id, 'a-1-1-any.pkg.tar.zst', 'a', '1-1', 'any', 1, 'digest of ' || claim, '', ''
     from attempt",
];

async fn state() -> TestState {
    let state = TestState::with_a_build().await;
    for statement in ROWS {
        state.sql(statement).await;
    }
    state
}

/// Returns whether the attempt ends with success, and with which known packages; changes nothing.
async fn succeeds(state: &TestState) -> Option<bool> {
    let mut tx = state.database.write().await.unwrap();
    let succeeded = succeed(&mut tx, ID.parse().unwrap()).await.unwrap();
    tx.undo().await.unwrap();
    succeeded.map(|succeeded| succeeded.has_known_packages)
}

#[tokio::test]
async fn rejects_success_with_other_bytes_under_a_served_name() {
    let state = state().await;
    let id: AttemptId = ID.parse().unwrap();
    let conflicting = async || {
        let found = packages::conflicting(state.database.read(), id).await;
        found.unwrap().map(|name| name.to_string())
    };
    assert_eq!(succeeds(&state).await, None);
    assert_eq!(conflicting().await.unwrap(), "a-1-1-any.pkg.tar.zst");
    // Another iteration may serve other bytes under this name.
    state
        .sql("insert into iteration (id, namespace_id, number, status, reason, created_at) values (2, 1, 2, 'running', 'r', 1)")
        .await;
    state
        .sql("update build set iteration_id = 2 where id = 2")
        .await;
    assert_eq!(succeeds(&state).await, Some(false));
    state
        .sql("update build set iteration_id = 1 where id = 2")
        .await;
    state.sql("update package set sha256 = 'same'").await;
    assert_eq!(succeeds(&state).await, Some(false));
    assert_eq!(conflicting().await, None);
}

#[tokio::test]
async fn rejects_success_after_a_reported_failure() {
    let state = state().await;
    state.sql("update package set sha256 = 'same'").await;
    state
        .sql(
            "insert into pipeline (attempt_id, gitlab, project_id, git_ref, commit_hash, reported_at)
             values ('0198c0de-0000-7000-8000-000000000001', 'https://g', 1, 'main', 'c', 1)",
        )
        .await;
    assert_eq!(succeeds(&state).await, None);
    state.sql("update pipeline set reported_at = null").await;
    state
        .sql("insert into linked_package values ('x86_64', 'a', '0-1', 1, '')")
        .await;
    assert_eq!(succeeds(&state).await, Some(true));
    state.sql("update attempt set status = 'lost'").await;
    assert_eq!(succeeds(&state).await, None);
}
