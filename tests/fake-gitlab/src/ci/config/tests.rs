use serde_json::json;

use super::*;

const WITH_INPUTS: &str = r#"
spec:
  inputs:
    attempt:
      type: string
      regex: /^[0-9a-f-]{36}$/
    server:
      type: string
      default: https://build.example
    tags: {type: array, default: [buildbtw]}
    timeout: {type: string, default: "6 hours"}
---
workflow:
  name: 'buildbtw $[[ inputs.attempt ]]'
  rules:
    - if: $CI_PIPELINE_SOURCE == "api"
build:
  stage: build
  tags: $[[ inputs.tags ]]
  timeout: $[[ inputs.timeout ]]
  interruptible: false
  variables: {GIT_STRATEGY: none, BUILDBTW_ATTEMPT: '$[[ inputs.attempt ]]'}
  id_tokens:
    BUILDBTW_ID_TOKEN:
      aud: '$[[ inputs.server ]]'
  script:
    - echo build
  artifacts: {when: always, paths: [out/*.zst], expire_in: 1 week, expose_as: packages}
"#;

const WITH_VARIABLE: &str = r#"
workflow:
  name: 'buildbtw $BUILDBTW_ATTEMPT'
  rules:
    - if: $BUILDBTW_ATTEMPT
build:
  script: echo build
"#;

const ATTEMPT: &str = "01890000-0000-7000-8000-000000000000";

fn known(pairs: &[(&str, &str)]) -> Known {
    let pairs = pairs.iter();
    pairs
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

fn read_with(text: &str, given: &Value, pairs: &[(&str, &str)]) -> Result<Config, String> {
    let given = given.as_object().unwrap();
    let config = parse(text).and_then(|parsed| read(&parsed, given, &known(pairs)));
    config.map_err(|error| error.to_string())
}

#[test]
fn substitutes_inputs() {
    let api = [("CI_PIPELINE_SOURCE", "api")];
    let config = read_with(WITH_INPUTS, &json!({ "attempt": ATTEMPT }), &api).unwrap();
    assert_eq!(config.name, Some(format!("buildbtw {ATTEMPT}")));
    let job = &config.jobs[0];
    assert_eq!(job.tags, ["buildbtw"]);
    assert_eq!(job.timeout, Some(21_600));
    assert_eq!(job.id_tokens[0].audience, "https://build.example");
    assert!(
        job.variables
            .contains(&("BUILDBTW_ATTEMPT".to_owned(), ATTEMPT.to_owned()))
    );
    let given = json!({ "attempt": ATTEMPT, "tags": ["a", "b"], "timeout": "90 minutes" });
    let config = read_with(WITH_INPUTS, &given, &api).unwrap();
    assert_eq!(config.jobs[0].tags, ["a", "b"]);
    assert_eq!(config.jobs[0].timeout, Some(5_400));
}

#[test]
fn validates_inputs() {
    for (given, error) in [
        (
            json!({}),
            "`attempt` input: required value has not been provided",
        ),
        (
            json!({ "attempt": 1 }),
            "`attempt` input: provided value is not a string",
        ),
        (
            json!({ "attempt": "x" }),
            "`attempt` input: provided value does not match required RegEx pattern",
        ),
        (
            json!({ "attempt": ATTEMPT, "tags": "a" }),
            "`tags` input: provided value is not an array",
        ),
        (
            json!({ "attempt": ATTEMPT, "other": "a" }),
            "unknown input arguments: other",
        ),
    ] {
        let found = read_with(WITH_INPUTS, &given, &[]).unwrap_err();
        assert_eq!(found, error);
    }
    let found = read_with(WITH_VARIABLE, &json!({ "a": 1 }), &[]).unwrap_err();
    assert_eq!(
        found,
        "Given inputs not defined in the `spec` section of the included configuration file"
    );
}

#[test]
fn workflow_rules_can_reject_pipeline() {
    let given = json!({ "attempt": ATTEMPT });
    let error = read_with(WITH_INPUTS, &given, &[("CI_PIPELINE_SOURCE", "push")]).unwrap_err();
    assert_eq!(error, "Pipeline filtered out by workflow rules.");
    let config = read_with(WITH_VARIABLE, &json!({}), &[("BUILDBTW_ATTEMPT", "7")]).unwrap();
    assert_eq!(config.name.as_deref(), Some("buildbtw 7"));
    assert!(read_with(WITH_VARIABLE, &json!({}), &[]).is_err());
}

#[test]
fn reports_unknown_keywords() {
    for (text, error) in [
        (
            "a: {script: x, needs: [b]}",
            "this stand-in does not support jobs:a:needs",
        ),
        (
            "a: {script: x, colour: red}",
            "jobs:a config contains unknown keys: colour",
        ),
        (
            "include: b.yml\na: {script: x}",
            "this stand-in does not support include",
        ),
        (
            "a: {script: x, stage: later}",
            "a job: chosen stage later does not exist; available stages are .pre, build, test, \
             deploy, .post",
        ),
        (
            "a: {script: x, rules: [{if: $N}]}",
            "The resulting pipeline would have been empty. Review the rules configuration for the \
             relevant jobs.",
        ),
        (
            "a: {script: x, timeout: soon}",
            "jobs:a:timeout config should be a duration",
        ),
    ] {
        assert_eq!(read_with(text, &json!({}), &[]).unwrap_err(), error);
    }
    assert!(read_with("a: [", &json!({}), &[]).is_err());
}

#[test]
fn selects_jobs_by_rules() {
    let text = "a: {script: x, rules: [{if: $M, when: manual}, {when: always}]}\nb: {script: [y, [z]], when: manual}";
    let config = read_with(text, &json!({}), &[("M", "1")]).unwrap();
    let whens: Vec<_> = config
        .jobs
        .iter()
        .map(|job| (job.when, job.allow_failure))
        .collect();
    assert_eq!(whens, [(When::Manual, false), (When::Manual, true)]);
    assert_eq!(config.jobs[1].script, ["y", "z"]);
}
