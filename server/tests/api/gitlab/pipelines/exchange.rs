//! The exchange of ID tokens for builds, and rejected tokens.

use buildbtw_fake_gitlab::{IdToken, Signer};
use buildbtw_model::BuildStatus;
use buildbtw_model::api::ProblemKind;
use reqwest::Method;
use serde_json::json;

use super::{Forge, Runner, SECRET, Srcinfo, build_that_is, packages};
use crate::support::{FakeWorker, ServerOptions, TestServer, expect_problem, refusal};

async fn running(forge: &Forge) -> (TestServer, Runner<'_>) {
    running_with(forge, forge.building()).await
}

async fn running_with(forge: &Forge, options: ServerOptions) -> (TestServer, Runner<'_>) {
    let server = forge.server_with(options).await;
    forge.hook(&server, true);
    server.namespace("bump", &["libgreet/main"]).await;
    let job = forge.job(&server, "libgreet", 1).await;
    (server, job)
}

/// Checks that a token is rejected for this reason, and that the valid one still works afterwards.
async fn expect_rejected(
    change: impl FnOnce(&Forge, IdToken) -> IdToken,
    kind: ProblemKind,
    why: &str,
) {
    let forge = Forge::that_builds(&packages()).await;
    let (_server, job) = running(&forge).await;
    let token = forge.gitlab.id_token(job.job, &job.url).unwrap();
    let token = change(&forge, token).sign().unwrap();
    let problem = refusal(job.exchanges(&token, SECRET).await);
    assert_eq!(problem.kind, kind, "{problem:?}");
    assert!(problem.title.contains(why), "{problem:?}");
    job.succeeds().await;
}

use ProblemKind::{Forbidden, Unauthenticated};

#[tokio::test]
async fn rejects_jobs_of_other_projects_and_pipelines() {
    let other = |forge: &Forge, token: IdToken| token.other_project(forge.project("greeter"));
    expect_rejected(|f, t| other(f, t).unwrap(), Forbidden, "job of project").await;
    expect_rejected(
        |_, token| token.claim("pipeline_id", "4711"),
        Forbidden,
        "job of pipeline 4711",
    )
    .await;
    expect_rejected(
        |_, token| token.claim("pipeline_source", "push"),
        Forbidden,
        "created by push",
    )
    .await;
    expect_rejected(
        |_, token| token.claim("ref", "evil"),
        Forbidden,
        "runs on `evil`",
    )
    .await;
}

#[tokio::test]
async fn rejects_merge_request_pipeline_of_fork() {
    let from_fork = |forge: &Forge, token: IdToken| {
        let fork = forge.gitlab.create_project("mallory/libgreet").unwrap();
        token.from_fork(fork).unwrap()
    };
    expect_rejected(from_fork, Forbidden, "fork").await;
}

#[tokio::test]
async fn rejects_tokens_of_other_issuers_and_audiences() {
    expect_rejected(|_, token| token.expired(), Unauthenticated, "expired").await;
    let signed = |signer| move |_: &Forge, token: IdToken| token.signer(signer);
    expect_rejected(
        signed(Signer::Unsigned),
        Unauthenticated,
        "ID token was rejected",
    )
    .await;
    expect_rejected(signed(Signer::UnpublishedKey), Unauthenticated, "signature").await;
    expect_rejected(signed(Signer::PublicKeyAsSecret), Unauthenticated, "RS256").await;
    expect_rejected(|_, token| token.key_id("other"), Unauthenticated, "no key").await;
    expect_rejected(
        |_, token| token.audience("https://elsewhere.example.org"),
        Unauthenticated,
        "another audience",
    )
    .await;
    expect_rejected(
        |_, token| token.issuer("https://evil.example.org"),
        Unauthenticated,
        "not issued by",
    )
    .await;
}

#[tokio::test]
async fn rejects_login_token() {
    let login = |forge: &Forge, token: IdToken| {
        let audience = token.claims()["aud"].as_str().unwrap().to_owned();
        forge.gitlab.login_token(1, &audience).unwrap()
    };
    expect_rejected(login, Unauthenticated, "not the token of a CI job").await;
    // The same keys sign both: without these claims a token does not belong to a job.
    let without = |_: &Forge, token: IdToken| token.without("job_id");
    expect_rejected(without, Unauthenticated, "not the token of a CI job").await;
}

#[tokio::test]
async fn id_token_allows_one_repeatable_exchange() {
    let forge = Forge::that_builds(&packages()).await;
    let (server, job) = running(&forge).await;
    let token = job.id_token();
    let first = job.exchanges(&token, SECRET).await.unwrap();
    let again = job.exchanges(&token, SECRET).await.unwrap();
    assert_eq!(first.build.attempt, again.build.attempt);
    let stolen = refusal(job.exchanges(&token, &SECRET.replace('0', "1")).await);
    assert_eq!(stolen.kind, Unauthenticated, "{stolen:?}");
    assert!(stolen.title.contains("already been used"), "{stolen:?}");
    let worker = FakeWorker::new(server.url(), SECRET.into(), "builder-1", &["x86_64"]);
    worker.job(first.build).succeeds().await;
    build_that_is(&server, "libgreet", BuildStatus::Built).await;
}

#[tokio::test]
async fn attempt_token_is_limited_to_its_attempt() {
    let forge = Forge::that_builds(&packages()).await;
    let (server, job) = running(&forge).await;
    job.exchanges(&job.id_token(), SECRET).await.unwrap();
    let worker = FakeWorker::new(server.url(), SECRET.into(), "builder-1", &["x86_64"]);
    let claim = worker.claims_once(buildbtw_model::ClaimId::new(), 0).await;
    assert_eq!(refusal(claim).kind, Forbidden);
    let cancelled = worker.client.cancel(&"bump".parse().unwrap()).await;
    assert_eq!(refusal(cancelled).kind, Forbidden);
    // It is not listed among the tokens of users either.
    let tokens = server.admin().tokens().await.unwrap();
    assert!(
        tokens
            .iter()
            .all(|token| !token.name.starts_with("attempt"))
    );
}

#[tokio::test]
async fn rejects_unprotected_branch_with_own_configuration() {
    let forge = Forge::that_builds(&packages()).await;
    forge.push_to("libgreet", "next", &Srcinfo::new("libgreet", "3.0-1"));
    let server = forge.server_that_builds().await;
    server.namespace("bump", &["libgreet/next"]).await;
    let job = forge.job(&server, "libgreet", 1).await;
    let token = forge.gitlab.id_token(job.job, &job.url).unwrap();
    let uri = "gitlab.example.org/packaging/packages/libgreet//.gitlab-ci.yml@refs/heads/next";
    let token = token.claim("ci_config_ref_uri", uri).sign().unwrap();
    let problem = refusal(job.exchanges(&token, SECRET).await);
    assert_eq!(problem.kind, Forbidden, "{problem:?}");
    let hint = problem.hint.as_deref().unwrap();
    assert!(hint.contains("protect the branch"), "{problem:?}");
    job.succeeds().await;
}

#[tokio::test]
async fn requires_protected_refs_without_config_ref_claim() {
    let forge = Forge::that_builds(&packages()).await;
    forge.push_to("libgreet", "next", &Srcinfo::new("libgreet", "3.0-1"));
    let server = forge.server_that_builds().await;
    server.namespace("bump", &["libgreet/next"]).await;
    let job = forge.job(&server, "libgreet", 1).await;
    let token = forge.gitlab.id_token(job.job, &job.url).unwrap();
    let token = token.without("ci_config_ref_uri").sign().unwrap();
    let problem = refusal(job.exchanges(&token, SECRET).await);
    assert!(problem.title.contains("does not report"), "{problem:?}");
    job.succeeds().await;
}

#[tokio::test]
async fn rejects_job_of_unplanned_commit() {
    expect_rejected(
        |_, token| token.claim("sha", "0123456789abcdef0123456789abcdef01234567"),
        Forbidden,
        "runs on commit",
    )
    .await;
}

#[tokio::test]
async fn token_of_removed_attempt_does_not_open_later_one() {
    let forge = Forge::that_builds(&packages()).await;
    let (server, job) = running(&forge).await;
    let first = job.claim_as_executor().await;
    first.starts().await;
    let admin = server.admin();
    admin
        .delete_namespace(&"bump".parse().unwrap())
        .await
        .unwrap();
    server.namespace("again", &["libgreet/main"]).await;
    let next = forge.job(&server, "libgreet", 2).await;
    let stolen = first.client.heartbeat(next.attempt()).await;
    assert_eq!(refusal(stolen).kind, Unauthenticated);
    next.succeeds().await;
}

#[tokio::test]
async fn accepts_only_protected_refs_when_configured() {
    let forge = Forge::that_builds(&packages()).await;
    forge.push_to("libgreet", "next", &Srcinfo::new("libgreet", "3.0-1"));
    let options = forge.building_with(&["--gitlab-protected-refs-only"]);
    let server = forge.server_with(options).await;
    forge.hook(&server, true);
    server.namespace("bump", &["libgreet/next"]).await;
    let job = forge.job(&server, "libgreet", 1).await;
    let problem = refusal(job.exchanges(&job.id_token(), SECRET).await);
    assert!(problem.title.contains("not a protected ref"), "{problem:?}");
    server.namespace("other", &["greeter/main"]).await;
    forge.job(&server, "greeter", 1).await.succeeds().await;
}

#[tokio::test]
async fn fetches_new_keys_of_gitlab() {
    let forge = Forge::that_builds(&packages()).await;
    let (server, job) = running(&forge).await;
    job.succeeds().await;
    forge.gitlab.rotate_keys(true);
    let next = forge.job(&server, "greeter", 1).await;
    // GitLab's keys are not fetched again so soon; an executor retries.
    next.succeeds().await;
}

#[tokio::test]
async fn rejects_weakly_signed_token() {
    let forge = Forge::that_builds(&packages()).await;
    let (_server, job) = running(&forge).await;
    let problem = refusal(job.exchanges(&job.id_token(), "bbtw_short").await);
    assert_eq!(problem.kind, ProblemKind::InvalidRequest);
    job.succeeds().await;
}

#[tokio::test]
async fn rate_limits_invalid_id_tokens() {
    let forge = Forge::that_builds(&packages()).await;
    let (server, job) = running(&forge).await;
    let token = forge.gitlab.id_token(job.job, &job.url).unwrap();
    let expired = token.expired().sign().unwrap();
    let path = format!("/api/v1/attempts/{}/exchange", job.attempt());
    let send = async || {
        let body = json!({"id_token": expired, "token": SECRET, "worker": "builder-1"});
        let request = server.request(Method::POST, &path).json(&body);
        request.send().await.unwrap()
    };
    for _ in 0..20 {
        expect_problem(send().await, 401, Unauthenticated).await;
    }
    let response = send().await;
    assert!(response.headers().contains_key("retry-after"));
    let problem = expect_problem(response, 429, ProblemKind::TooManyRequests).await;
    assert!(
        problem
            .detail
            .as_deref()
            .unwrap_or_default()
            .contains("expired"),
        "{problem:?}"
    );
    // A valid one is never delayed.
    job.succeeds().await;
}

#[tokio::test]
async fn rate_limits_unknown_key_ids() {
    // {"alg":"RS256","kid":"none"}, {} and a signature.
    const MADE_UP: &str = "eyJhbGciOiJSUzI1NiIsImtpZCI6Im5vbmUifQ.e30.AAAA";
    let forge = Forge::that_builds(&packages()).await;
    let (server, job) = running(&forge).await;
    let path = format!("/api/v1/attempts/{}/exchange", job.attempt());
    let body = json!({"id_token": MADE_UP, "token": SECRET, "worker": "builder-1"});
    let mut statuses = Vec::new();
    for _ in 0..25 {
        let request = server.request(Method::POST, &path).json(&body);
        let response = request.send().await.unwrap();
        assert!(response.status() == 401 || response.headers().contains_key("retry-after"));
        statuses.push(response.status().as_u16());
    }
    assert!(!statuses[..20].contains(&429), "{statuses:?}");
    assert_eq!(statuses[20..], [429; 5], "{statuses:?}");
    // They cause no requests to GitLab either; a token with a known key is never delayed.
    forge.gitlab.clear_requests();
    job.succeeds().await;
}
