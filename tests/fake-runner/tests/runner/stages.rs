use std::io::Read as _;

use buildbtw_fake_gitlab::Status;
use buildbtw_fake_runner::{Exit, FakeRunner, Outcome, RunnerConfig, Subcommand};

use crate::support::{Fixture, PLAIN};

const WHOLE: &str = "
build:
  variables: {GIT_STRATEGY: none, GREETING: 'hello $CI_PROJECT_PATH'}
  id_tokens: {ID: {aud: 'https://build.example'}}
  script:
    - echo $GREETING
    - echo secret $CI_JOB_TOKEN and $ID
    - mkdir out && echo package > out/a.zst && echo note > other
    - echo config said $FROM_CONFIG
    - pwd
  after_script:
    - echo afterwards
  artifacts: {paths: ['out/*.zst'], when: always, expire_in: 1 week}
";

#[tokio::test]
async fn runs_job_through_its_stages() {
    let fixture = Fixture::new(WHOLE).await;
    let runner = fixture.start(PLAIN);
    let (pipeline, job) = fixture.pipeline();
    assert_eq!(runner.wait_for_job(job.0).await, Outcome::Success);
    assert_eq!(
        runner.names(job.0),
        [
            "config",
            "prepare",
            "prepare_script",
            "get_sources",
            "build_script",
            "after_script",
            "upload_artifacts_on_success",
            "cleanup_file_variables",
            "cleanup",
        ]
    );
    let calls = runner.calls();
    assert!(calls.iter().all(|call| call.exit == Some(Exit::Code(0))));
    assert_eq!(
        fixture.gitlab.pipeline(pipeline).unwrap().status,
        Status::Success
    );
    let log = fixture.log(job);
    for text in [
        "Running with gitlab-runner 19.4.0",
        "Using Custom executor with driver plain 1...",
        "\nhello g/demo\n",
        "secret [MASKED] and [MASKED]",
        "config said yes",
        "builds/g/demo\n",
        "\nafterwards\n",
        "Job succeeded",
    ] {
        assert!(log.contains(text), "{text} in {log}");
    }
    let artifacts = fixture.gitlab.job_artifacts(job).unwrap();
    assert_eq!(artifacts.file_name, "artifacts.zip");
    assert_eq!(artifacts.expire_in.as_deref(), Some("1 week"));
    let data = std::io::Cursor::new(artifacts.data.clone());
    let mut archive = zip::ZipArchive::new(data).unwrap();
    assert_eq!(archive.len(), 1);
    let mut text = String::new();
    let mut file = archive.by_name("out/a.zst").unwrap();
    file.read_to_string(&mut text).unwrap();
    assert_eq!(text, "package\n");
}

const SHOWS: &str = r#"#!/usr/bin/env bash
case $1 in
  config) exit 0 ;;
  prepare)
    {
      stat -c %a "$JOB_RESPONSE_FILE"
      grep -o '"project_full_path":"[^"]*"' "$JOB_RESPONSE_FILE"
      [ "$PWD" = "$TMPDIR" ] && echo in its folder
      echo "$BUILD_FAILURE_EXIT_CODE $SYSTEM_FAILURE_EXIT_CODE"
      echo "$CUSTOM_ENV_CI_PROJECT_DIR"
      echo "services '$CUSTOM_ENV_CI_JOB_SERVICES'"
      echo "$CUSTOM_ENV_A"
    } > "$WORLD/shown"
    ;;
  run) [ "${2##*/}" = script ] && stat -c %a "$2" > "$WORLD/mode"; bash "$2" ;;
esac
"#;

#[tokio::test]
async fn passes_job_to_executor() {
    let fixture = Fixture::new(
        "build: {script: 'true', variables: {GIT_STRATEGY: none, A: '$CI_JOB_NAME!'}}",
    )
    .await;
    let runner = fixture.start(SHOWS);
    let (_, job) = fixture.pipeline();
    assert_eq!(runner.wait_for_job(job.0).await, Outcome::Success);
    let shown = fs_err::read_to_string(fixture.path("shown")).unwrap();
    let project = fixture.path("builds/g/demo");
    assert_eq!(
        shown,
        format!(
            "600\n\"project_full_path\":\"g/demo\"\nin its folder\n1 2\n{}\nservices ''\nbuild!\n",
            project.display()
        )
    );
    assert_eq!(
        fs_err::read_to_string(fixture.path("mode")).unwrap(),
        "700\n"
    );
}

#[tokio::test]
async fn accepts_new_name_of_script_stage() {
    let fixture =
        Fixture::new("build: {script: echo hello, variables: {GIT_STRATEGY: none}}").await;
    let runner = FakeRunner::start(RunnerConfig {
        step_script_name: "step_script".to_owned(),
        ..fixture.config(PLAIN)
    })
    .unwrap();
    let (_, job) = fixture.pipeline();
    assert_eq!(runner.wait_for_job(job.0).await, Outcome::Success);
    let names = runner.names(job.0);
    assert!(names.contains(&"step_script".to_owned()), "{names:?}");
    assert!(!names.contains(&"build_script".to_owned()), "{names:?}");
}

#[tokio::test]
async fn passes_artifacts_to_later_stages() {
    let fixture = Fixture::new(
        "
first: {stage: build, script: 'echo 1 > file', variables: {GIT_STRATEGY: none}, artifacts: {paths: [file]}}
second: {stage: test, script: ['cat file', 'test -f file'], variables: {GIT_STRATEGY: empty}}
",
    )
    .await;
    let runner = fixture.start(PLAIN);
    let (pipeline, _) = fixture.pipeline();
    let done = fixture
        .gitlab
        .pipeline_until(pipeline, |one| one.status.is_complete());
    assert_eq!(done.await.unwrap().status, Status::Success);
    let second = fixture.gitlab.jobs(pipeline)[1].id;
    let names = runner.names(second.0);
    assert_eq!(names[4], "download_artifacts", "{names:?}");
}

#[tokio::test]
async fn runs_jobs_concurrently() {
    let fixture = Fixture::new(
        "
a: {script: ['touch $WORLD/a', 'until [ -e $WORLD/b ]; do sleep 0.01; done'], variables: {GIT_STRATEGY: none}}
b: {script: ['touch $WORLD/b', 'until [ -e $WORLD/a ]; do sleep 0.01; done'], variables: {GIT_STRATEGY: none}}
",
    )
    .await;
    let runner = FakeRunner::start(RunnerConfig {
        concurrent: 2,
        ..fixture.config(PLAIN)
    })
    .unwrap();
    let (pipeline, _) = fixture.pipeline();
    for job in fixture.gitlab.jobs(pipeline) {
        assert_eq!(runner.wait_for_job(job.id.0).await, Outcome::Success);
    }
    let configs = runner.calls().into_iter();
    assert_eq!(
        configs
            .filter(|call| call.what == Subcommand::Config)
            .count(),
        2
    );
}

#[tokio::test]
async fn applies_runner_variables_as_job_defaults() {
    let fixture = Fixture::new(
        "build: {script: 'echo \"$A $B $C\"', variables: {GIT_STRATEGY: none, B: job}}",
    )
    .await;
    let mut config = fixture.config(PLAIN);
    config.environment = [("A", "runner"), ("B", "runner"), ("C", "$A-$B")]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .to_vec();
    let runner = FakeRunner::start(config).unwrap();
    let (_, job) = fixture.pipeline();
    assert_eq!(runner.wait_for_job(job.0).await, Outcome::Success);
    let log = fixture.log(job);
    assert!(log.contains("\nrunner job runner-job\n"), "{log}");
}

#[tokio::test]
async fn fetches_sources_with_job_token() {
    let fixture = Fixture::new("build: {script: [cat .gitlab-ci.yml, 'git rev-parse HEAD']}").await;
    let runner = fixture.start(PLAIN);
    let (_, job) = fixture.pipeline();
    assert_eq!(runner.wait_for_job(job.0).await, Outcome::Success);
    let head = fixture.gitlab.head(fixture.project, None).unwrap().unwrap();
    let log = fixture.log(job);
    assert!(log.contains(&format!("\n{head}\n")), "{log}");
}
