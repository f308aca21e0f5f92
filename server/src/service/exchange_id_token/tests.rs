use super::*;
use serde_json::{Value, json};

use crate::testing::{self, pipeline_row};

/// Returns the claims of a pipeline's job, except for one.
fn claims(name: &str, value: Value) -> JobClaims {
    let mut claims = json!({
        "jti": "an id",
        "exp": 1,
        "job_id": "7",
        "pipeline_id": "2",
        "pipeline_source": "api",
        "project_id": "1",
        "ref": "main",
        "sha": "0".repeat(40),
        "ref_protected": "false",
        "ci_config_ref_uri": null,
    });
    claims[name] = value;
    serde_json::from_value(claims).unwrap()
}

#[test]
fn refusals_of_jobs_match_snapshot() {
    let of_origin = |name, value| check_origin(&pipeline_row(), &claims(name, value)).unwrap_err();
    let of_pipeline = |name, value| {
        let checked = check_pipeline(&pipeline_row(), PipelineId(2), &claims(name, value));
        checked.unwrap_err()
    };
    let of_protection = |protected_refs_only, name, value| {
        let checked = check_protection(protected_refs_only, &claims(name, value));
        checked.unwrap_err()
    };
    let unreported: JobClaims = serde_json::from_value(json!({
        "jti": "an id", "exp": 1, "job_id": 7, "pipeline_id": 2, "project_id": 1, "ref": "main"
    }))
    .unwrap();
    let config = "gitlab.example/packages/libgreet//.gitlab-ci.yml@refs/heads/main";
    let text = testing::refusals([
        ("token that can be guessed", no_secret()),
        (
            "merge request of a fork",
            of_origin("job_project_id", json!("9")),
        ),
        (
            "job of another project",
            of_origin("project_id", json!("9")),
        ),
        (
            "pipeline of a push",
            of_origin("pipeline_source", json!("push")),
        ),
        (
            "pipeline of an unknown source",
            of_origin("pipeline_source", Value::Null),
        ),
        ("another pipeline", of_pipeline("pipeline_id", json!("9"))),
        ("another branch", of_pipeline("ref", json!("next"))),
        ("another commit", of_pipeline("sha", json!("1".repeat(40)))),
        (
            "branch that is not protected",
            of_protection(true, "ref", json!("main")),
        ),
        (
            "configuration of the project",
            of_protection(false, "ci_config_ref_uri", json!(config)),
        ),
        (
            "configuration of unknown origin",
            check_protection(false, &unreported).unwrap_err(),
        ),
    ]);
    insta::assert_snapshot!(text);
}
