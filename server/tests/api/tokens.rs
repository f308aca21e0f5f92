//! Tokens that are replaced, revoked or expire while in use.

use std::time::Duration;

use buildbtw_model::api::{CreateToken, CreatedToken, ProblemKind};
use buildbtw_model::client::ClientError;
use buildbtw_model::{BuildStatus, ClaimId, TokenScope};
use tokio::task::JoinHandle;

use crate::support::{FakeWorker, Srcinfo, TestServer, parse, refusal};

async fn server() -> TestServer {
    TestServer::start(|sources| {
        sources.push(&Srcinfo::new("libgreet", "1.0-1"));
    })
    .await
}

async fn token(server: &TestServer, scope: TokenScope, expires_in_s: Option<u32>) -> CreatedToken {
    let request = CreateToken {
        name: format!("a {scope}"),
        scope,
        expires_in_s,
    };
    server.admin().create_token(&request).await.unwrap()
}

fn worker(server: &TestServer, name: &str, token: &CreatedToken) -> FakeWorker {
    FakeWorker::new(server.url(), token.token.clone(), name, &["x86_64"])
}

/// Starts a claim of a worker with this token, for which no build is ready.
async fn waiting_claim(
    server: &TestServer,
    token: &CreatedToken,
) -> JoinHandle<Result<(), ClientError>> {
    let worker = worker(server, "w", token);
    let first = worker.claims_once(ClaimId::new(), 0).await;
    assert!(first.unwrap().is_none());
    tokio::spawn(async move { worker.claims_once(ClaimId::new(), 30).await.map(drop) })
}

#[tokio::test]
async fn revoking_a_token_ends_its_waiting_claims() {
    let server = server().await;
    let token = token(&server, TokenScope::Worker, None).await;
    let claim = waiting_claim(&server, &token).await;
    server.admin().revoke_token(token.summary.id).await.unwrap();
    let problem = refusal(claim.await.unwrap());
    assert_eq!(problem.kind, ProblemKind::Unauthenticated, "{problem:?}");
}

#[tokio::test]
async fn ends_claim_when_its_token_expires() {
    let server = server().await;
    let token = token(&server, TokenScope::Worker, Some(3600)).await;
    let claim = waiting_claim(&server, &token).await;
    server.advance(Duration::from_secs(3601));
    let problem = refusal(claim.await.unwrap());
    assert_eq!(problem.kind, ProblemKind::Unauthenticated, "{problem:?}");
}

#[tokio::test]
async fn does_not_assign_ready_build_to_revoked_token() {
    let server = server().await;
    let old = token(&server, TokenScope::Worker, None).await;
    let waiting = worker(&server, "w", &old);
    assert!(
        waiting
            .claims_once(ClaimId::new(), 0)
            .await
            .unwrap()
            .is_none()
    );
    let claim =
        tokio::spawn(async move { waiting.claims_once(ClaimId::new(), 30).await.map(drop) });
    // The server is not notified: only the database state at the time of dispatch counts.
    server
        .sql("update token set revoked_at = 1 where scope = 'worker'")
        .await;
    server.namespace("bump", &["libgreet/main"]).await;
    let problem = refusal(claim.await.unwrap());
    assert_eq!(problem.kind, ProblemKind::Unauthenticated, "{problem:?}");
    server
        .expect_builds("bump", &[("libgreet", BuildStatus::Ready)])
        .await;
    let good = token(&server, TokenScope::Worker, None).await;
    worker(&server, "w", &good).builds("libgreet").await;
}

#[tokio::test]
async fn worker_continues_under_its_name_with_replaced_token() {
    let server = server().await;
    server.namespace("bump", &["libgreet/main"]).await;
    let old = token(&server, TokenScope::Worker, None).await;
    let new = token(&server, TokenScope::Worker, None).await;
    let before = worker(&server, "w", &old);
    let claim = ClaimId::new();
    let job = before.claims_once(claim, 30).await.unwrap().unwrap();
    job.starts().await;
    let packages = job.makes_and_uploads().await;
    let attempt = job.claimed.attempt;

    let after = worker(&server, "w", &new);
    let forbidden = |problem: buildbtw_model::api::Problem| {
        assert_eq!(problem.kind, ProblemKind::Forbidden, "{problem:?}");
    };
    // While the old token is valid, its owner may be using it.
    forbidden(refusal(
        after.client.adopt_attempt(attempt, &parse("w")).await,
    ));
    forbidden(refusal(after.claims_once(claim, 0).await));
    server.admin().revoke_token(old.summary.id).await.unwrap();
    assert_eq!(
        refusal(job.heartbeat().await).kind,
        ProblemKind::Unauthenticated
    );
    forbidden(refusal(after.client.heartbeat(attempt).await));
    forbidden(refusal(
        after.client.adopt_attempt(attempt, &parse("other")).await,
    ));
    let repeated = after.claims_once(claim, 0).await.unwrap().unwrap();
    assert_eq!(repeated.claimed.attempt, attempt);
    after
        .client
        .adopt_attempt(attempt, &parse("w"))
        .await
        .unwrap();
    repeated
        .reports(&crate::support::reported(&packages))
        .await
        .unwrap();
    server
        .expect_builds("bump", &[("libgreet", BuildStatus::Built)])
        .await;
}

#[tokio::test]
async fn requires_force_to_revoke_last_valid_admin_token() {
    let mut server = server().await;
    let first = server.admin().tokens().await.unwrap()[0].id;
    // An expired one does not count.
    token(&server, TokenScope::Admin, Some(1)).await;
    server.advance(Duration::from_secs(1));
    token(&server, TokenScope::Client, None).await;
    let problem = refusal(server.admin().revoke_token(first).await);
    assert_eq!((problem.status, problem.kind), (409, ProblemKind::Conflict));
    assert!(
        problem.title.contains("last valid admin token"),
        "{problem:?}"
    );
    let hint = problem.hint.unwrap();
    assert!(
        hint.contains("--force") && hint.contains("admin-token"),
        "{hint}"
    );
    assert!(server.admin().tokens().await.is_ok());

    let second = token(&server, TokenScope::Admin, None).await;
    let admin = server.client(Some(second.token.clone()));
    admin.revoke_token(first).await.unwrap();
    // Repeating it is still not an error.
    admin.revoke_token(first).await.unwrap();
    let own = second.summary.id;
    assert_eq!(refusal(admin.revoke_token(own).await).status, 409);
    admin.force_revoke_token(own).await.unwrap();
    // The error says how to get another one.
    let problem = refusal(admin.tokens().await);
    assert_eq!(problem.kind, ProblemKind::Unauthenticated);
    assert!(problem.hint.unwrap().contains("restart the server"));
    let stranger = server.client(Some("bbtw_nobody".into()));
    let problem = refusal(stranger.tokens().await);
    assert!(!problem.hint.unwrap().contains("restart"));
    server.stop().await;
    server.start_again().await;
    assert!(server.admin().tokens().await.is_ok());
}

#[tokio::test]
async fn counts_only_longest_valid_token_as_last_admin_token() {
    let server = server().await;
    let first = server.admin().tokens().await.unwrap()[0].id;
    let short = token(&server, TokenScope::Admin, Some(3_600)).await;
    let problem = refusal(server.admin().revoke_token(first).await);
    assert_eq!((problem.status, problem.kind), (409, ProblemKind::Conflict));
    assert!(
        problem
            .title
            .contains("last valid admin token that does not expire"),
        "{problem:?}"
    );
    assert!(problem.hint.unwrap().contains("--force"));
    // In the other order there is nothing to lose.
    server.admin().revoke_token(short.summary.id).await.unwrap();

    // Among those that expire, the last one counts.
    let long = token(&server, TokenScope::Admin, Some(7_200)).await;
    let short = token(&server, TokenScope::Admin, Some(3_600)).await;
    let admin = server.client(Some(long.token));
    admin.force_revoke_token(first).await.unwrap();
    let long = long.summary.id;
    let problem = refusal(admin.revoke_token(long).await);
    assert!(problem.title.contains("that is valid until"), "{problem:?}");
    let request = CreateToken {
        name: "longer".to_owned(),
        scope: TokenScope::Admin,
        expires_in_s: Some(10_800),
    };
    let longer = admin.create_token(&request).await.unwrap();
    admin.revoke_token(short.summary.id).await.unwrap();
    let admin = server.client(Some(longer.token));
    admin.revoke_token(long).await.unwrap();
}
