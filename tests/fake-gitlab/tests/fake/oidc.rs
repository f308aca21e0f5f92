use std::collections::HashSet;

use buildbtw_fake_gitlab::{Fault, JobId, On, Signer, Times};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};

use crate::support::{Fixture, ONE_JOB};

const AUDIENCE: &str = "https://build.example";

async fn keys(fixture: &Fixture) -> JwkSet {
    let url = format!("{}/oauth/discovery/keys", fixture.gitlab.url());
    let response = fixture.http.get(url).send().await.unwrap();
    assert_eq!(
        response.headers()["cache-control"],
        "max-age=86400, public, must-revalidate"
    );
    response.json().await.unwrap()
}

/// Verifies a token as a careful server does, except for its times, which are the stand-in's.
async fn check(fixture: &Fixture, token: &str) -> Result<Value, String> {
    let header = jsonwebtoken::decode_header(token).map_err(|error| error.to_string())?;
    let keys = keys(fixture).await;
    let key = keys
        .find(&header.kid.ok_or("no kid")?)
        .ok_or("no such key")?;
    let key = DecodingKey::from_jwk(key).unwrap();
    let mut validation = Validation::new(Algorithm::RS256);
    validation.set_audience(&[AUDIENCE]);
    validation.set_issuer(&[fixture.gitlab.url()]);
    validation.validate_exp = false;
    validation.set_required_spec_claims(&["exp", "aud", "iss"]);
    let token = jsonwebtoken::decode::<Value>(token, &key, &validation);
    Ok(token.map_err(|error| error.to_string())?.claims)
}

async fn with_job() -> (Fixture, JobId) {
    let fixture = Fixture::new().await;
    let project = fixture.project("g/s/a", ONE_JOB);
    let (_, job) = fixture.pipeline(project);
    (fixture, job)
}

#[tokio::test]
async fn discovery_document_points_to_keys() {
    let fixture = Fixture::new().await;
    let url = fixture.gitlab.url();
    let configuration: Value = fixture
        .http
        .get(format!("{url}/.well-known/openid-configuration"))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(configuration["issuer"], url);
    assert_eq!(
        configuration["jwks_uri"],
        format!("{url}/oauth/discovery/keys")
    );
    let keys = keys(&fixture).await;
    assert_eq!(keys.keys.len(), 2);
    let other = fixture
        .http
        .get(format!("{url}/-/jwks"))
        .send()
        .await
        .unwrap();
    let other: Value = other.json().await.unwrap();
    assert_eq!(other["keys"][0]["alg"], "RS256");
    assert_eq!(other["keys"][0]["use"], "sig");
    let fault = Fault::status(503);
    fixture.gitlab.faults().add(
        On::Path("/oauth/discovery/keys".into()),
        Times::Next(1),
        fault,
    );
    let url = format!("{url}/oauth/discovery/keys");
    assert_eq!(fixture.http.get(url).send().await.unwrap().status(), 503);
}

#[tokio::test]
async fn id_token_contains_claims_of_its_job() {
    let (fixture, job) = with_job().await;
    let token = fixture.gitlab.job_id_token(job, AUDIENCE).unwrap();
    let claims = check(&fixture, &token).await.unwrap();
    let view = fixture.gitlab.job(job).unwrap();
    let iat: i64 = 1_767_225_600;
    for (name, value) in [
        ("sub", json!("project_path:g/s/a:ref_type:branch:ref:main")),
        ("iat", json!(iat)),
        ("nbf", json!(iat - 5)),
        ("exp", json!(iat + 3_600)),
        ("namespace_path", json!("g/s")),
        ("project_id", json!("1")),
        ("project_path", json!("g/s/a")),
        ("job_project_id", json!("1")),
        ("job_project_path", json!("g/s/a")),
        ("job_namespace_path", json!("g/s")),
        ("user_login", json!("buildbtw")),
        ("pipeline_id", json!(view.pipeline.to_string())),
        ("pipeline_source", json!("api")),
        ("job_id", json!(job.to_string())),
        ("ref", json!("main")),
        ("ref_type", json!("branch")),
        ("ref_path", json!("refs/heads/main")),
        ("ref_protected", json!("true")),
        ("runner_environment", json!("self-hosted")),
        ("project_visibility", json!("private")),
        ("runner_id", Value::Null),
    ] {
        assert_eq!(claims[name], value, "{name}");
    }
    let uri = claims["ci_config_ref_uri"].as_str().unwrap();
    assert!(
        uri.ends_with("/g/s/a//.gitlab-ci.yml@refs/heads/main"),
        "{uri}"
    );
    assert_eq!(claims["ci_config_sha"], claims["sha"]);
    let token = fixture.gitlab.create_runner(&[]);
    let payload = fixture.gitlab.assign_job(&token).unwrap().unwrap();
    assert_eq!(payload["id"], job.0);
    let token = fixture.gitlab.job_id_token(job, AUDIENCE).unwrap();
    let claims = check(&fixture, &token).await.unwrap();
    assert!(claims["runner_id"].is_u64());
}

#[tokio::test]
async fn omits_config_claims_for_configuration_of_another_project() {
    let (fixture, _) = with_job().await;
    fixture.import(1);
    let project = fixture.gitlab.project_id("pkgs/p0").unwrap();
    fixture
        .gitlab
        .set_ci_config_path(project, ".gitlab-ci.yml@g/s/a")
        .unwrap();
    let (_, job) = fixture.pipeline(project);
    let token = fixture.gitlab.job_id_token(job, AUDIENCE).unwrap();
    let claims = check(&fixture, &token).await.unwrap();
    assert_eq!(claims["project_path"], "pkgs/p0");
    assert!(claims["ci_config_ref_uri"].is_null() && claims["ci_config_sha"].is_null());
}

#[tokio::test]
async fn fork_tokens_name_both_projects() {
    let (fixture, _) = with_job().await;
    let target = fixture.gitlab.project_id("g/s/a").unwrap();
    let fork = fixture.project("me/a", ONE_JOB);
    let iid = fixture
        .gitlab
        .open_merge_request(target, "main", fork, "main", "Change")
        .unwrap();
    let pipeline = fixture
        .gitlab
        .create_merge_request_pipeline(target, iid)
        .unwrap();
    let job = fixture.gitlab.jobs(pipeline)[0].id;
    let token = fixture.gitlab.job_id_token(job, AUDIENCE).unwrap();
    let claims = check(&fixture, &token).await.unwrap();
    assert_eq!(claims["project_path"], "me/a");
    assert_eq!(claims["job_project_path"], "g/s/a");
    assert_eq!(claims["pipeline_source"], "merge_request_event");
    assert_eq!(claims["ref_protected"], "false");
}

#[tokio::test]
async fn forges_tokens_by_named_defect() {
    let (fixture, job) = with_job().await;
    let token = || fixture.gitlab.id_token(job, AUDIENCE).unwrap();
    for (name, forged, error) in [
        (
            "unpublished_key",
            token().signer(Signer::UnpublishedKey),
            "InvalidSignature",
        ),
        (
            "none",
            token().signer(Signer::Unsigned),
            "unknown variant `none`",
        ),
        (
            "hs256",
            token().signer(Signer::PublicKeyAsSecret),
            "InvalidAlgorithm",
        ),
        ("key", token().key_id("unknown"), "no such key"),
        (
            "audience",
            token().audience("https://other.example"),
            "InvalidAudience",
        ),
        (
            "issuer",
            token().issuer("https://other.example"),
            "InvalidIssuer",
        ),
        ("without", token().without("exp"), "Missing required claim"),
    ] {
        let found = check(&fixture, &forged.sign().unwrap()).await.unwrap_err();
        assert!(found.contains(error), "{name}: {found}");
    }
    let login = fixture.gitlab.login_token(1, AUDIENCE).unwrap();
    let claims = check(&fixture, &login.sign().unwrap()).await.unwrap();
    assert_eq!(claims["sub"], "1");
    assert!(claims.get("job_id").is_none());
    let expired = check(&fixture, &token().expired().sign().unwrap())
        .await
        .unwrap();
    assert!(expired["exp"].as_i64() < Some(1_767_225_600));
    let fork = fixture.project("me/a", ONE_JOB);
    let fork = token().from_fork(fork).unwrap().sign().unwrap();
    let claims = check(&fixture, &fork).await.unwrap();
    assert_eq!(claims["project_path"], "me/a");
    assert_eq!(claims["job_project_path"], "g/s/a");
}

#[tokio::test]
async fn rotates_keys() {
    let (fixture, job) = with_job().await;
    let old = fixture.gitlab.job_id_token(job, AUDIENCE).unwrap();
    fixture.gitlab.rotate_keys(true);
    let new = fixture.gitlab.job_id_token(job, AUDIENCE).unwrap();
    assert!(check(&fixture, &old).await.is_ok());
    assert!(check(&fixture, &new).await.is_ok());
    assert_eq!(keys(&fixture).await.keys.len(), 3);
    fixture.gitlab.rotate_keys(false);
    assert_eq!(check(&fixture, &old).await.unwrap_err(), "no such key");
    assert_eq!(keys(&fixture).await.keys.len(), 2);
    let mut ids = HashSet::new();
    for _ in 0..3 {
        fixture.gitlab.rotate_keys(false);
        let token = fixture.gitlab.job_id_token(job, AUDIENCE).unwrap();
        ids.insert(jsonwebtoken::decode_header(&token).unwrap().kid);
    }
    assert_eq!(ids.len(), 3);
}
