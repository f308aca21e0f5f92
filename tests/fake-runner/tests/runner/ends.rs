use std::time::Duration;

use buildbtw_fake_gitlab::Status;
use buildbtw_fake_runner::{Exit, FakeRunner, Outcome, RunnerConfig, Subcommand};

use crate::support::{Fixture, PLAIN};

fn failed(reason: &str, exit_code: Option<i64>) -> Outcome {
    Outcome::Failed {
        reason: reason.to_owned(),
        exit_code,
    }
}

#[tokio::test]
async fn reports_exit_code_of_failed_script() {
    let fixture = Fixture::new(
        "
build:
  variables: {GIT_STRATEGY: none}
  script: [echo before, (exit 42), echo never]
  after_script: [echo afterwards $CI_JOB_STATUS]
  artifacts: {paths: [log], when: on_failure}
",
    )
    .await;
    let runner = fixture.start(PLAIN);
    let (_, job) = fixture.pipeline();
    let outcome = runner.wait_for_job(job.0).await;
    assert_eq!(outcome, failed("script_failure", Some(42)));
    let row = fixture.job(job);
    assert_eq!(row.status, Status::Failed);
    assert_eq!(row.failure_reason.as_deref(), Some("script_failure"));
    assert_eq!(row.exit_code, Some(42));
    let names = runner.names(job.0);
    assert_eq!(
        names[4..],
        [
            "build_script",
            "after_script",
            "upload_artifacts_on_failure",
            "cleanup_file_variables",
            "cleanup"
        ]
    );
    let log = fixture.log(job);
    assert!(log.contains("ERROR: Job failed: exit status 42"), "{log}");
    assert!(!log.contains("\nnever\n"), "{log}");
}

#[tokio::test]
async fn reports_executor_failure_as_system_failure() {
    for (end, text) in [
        ("exit $SYSTEM_FAILURE_EXIT_CODE", "exit status 2"),
        ("exit 9", "unknown Custom executor executable exit code 9"),
        (
            "kill -9 $$",
            "unknown Custom executor executable exit code -1",
        ),
    ] {
        let fixture =
            Fixture::new("build: {script: 'true', variables: {GIT_STRATEGY: none}}").await;
        let executor =
            format!("#!/usr/bin/env bash\n[ \"$1 $3\" = 'run build_script' ] && {end}\nexit 0\n");
        let runner = fixture.start(&executor);
        let (_, job) = fixture.pipeline();
        let outcome = runner.wait_for_job(job.0).await;
        assert_eq!(outcome, failed("runner_system_failure", None), "{end}");
        let log = fixture.log(job);
        assert!(log.contains(text), "{log}");
        assert_eq!(runner.names(job.0).last().unwrap(), "cleanup");
    }
}

#[tokio::test]
async fn names_executor_and_folder_without_permission() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let fixture = Fixture::new("build: {script: 'true', variables: {GIT_STRATEGY: none}}").await;
    let mut config = fixture.config(PLAIN);
    let private = fixture.path("private");
    fs_err::create_dir(&private).unwrap();
    let executor = private.join("executor");
    fs_err::rename(&config.executor, &executor).unwrap();
    for folder in [fixture.folder.path(), &private] {
        let mode = if folder == private { 0o700 } else { 0o755 };
        let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
        fs_err::set_permissions(folder, mode).unwrap();
    }
    config.executor.clone_from(&executor);
    config.run_as = Some((65534, 65534));
    let runner = FakeRunner::start(config).unwrap();
    let (_, job) = fixture.pipeline();
    let outcome = runner.wait_for_job(job.0).await;
    assert_eq!(outcome, failed("runner_system_failure", None));
    let log = fixture.log(job);
    let path = executor.display();
    for text in [
        format!(
            "permission denied: {path} (its folder {} is not accessible to user `nobody`)",
            private.display()
        ),
        format!("fork/exec {path}: permission denied"),
    ] {
        assert!(log.contains(&text), "{text} in {log}");
    }
}

#[tokio::test]
async fn never_truncates_exit_code_file() {
    for (content, outcome) in [
        ("77", failed("script_failure", Some(77))),
        ("seven", failed("runner_system_failure", None)),
    ] {
        let fixture =
            Fixture::new("build: {script: 'true', variables: {GIT_STRATEGY: none}}").await;
        let executor = format!(
            "#!/usr/bin/env bash\n\
             [ \"$1\" = prepare ] && echo {content} > \"$BUILD_EXIT_CODE_FILE\"\n\
             [ \"$1 $3\" = 'run build_script' ] && exit 1\nexit 0\n"
        );
        let runner = fixture.start(&executor);
        let (_, job) = fixture.pipeline();
        assert_eq!(runner.wait_for_job(job.0).await, outcome);
    }
}

#[tokio::test]
async fn tries_prepare_three_times() {
    let fixture = Fixture::new("build: {script: 'true', variables: {GIT_STRATEGY: none}}").await;
    let executor = "#!/usr/bin/env bash\n\
        [ \"$1\" = prepare ] && echo \"$TMPDIR\" >> \"$WORLD/tries\"\n\
        [ \"$1\" = prepare ] && [ $(wc -l < \"$WORLD/tries\") -lt ${NEEDED:-3} ] && exit 2\n\
        exit 0\n";
    let runner = fixture.start(executor);
    let (_, job) = fixture.pipeline();
    assert_eq!(runner.wait_for_job(job.0).await, Outcome::Success);
    let names = runner.names(job.0);
    let beginning = ["config", "prepare", "cleanup"];
    assert_eq!(names[..3], beginning);
    assert_eq!(names[3..6], beginning);
    assert_eq!(names[6..9], ["config", "prepare", "prepare_script"]);
    let tries = fs_err::read_to_string(fixture.path("tries")).unwrap();
    let folders: std::collections::HashSet<&str> = tries.lines().collect();
    assert_eq!(folders.len(), 3);
    runner.finish().await;

    fs_err::remove_file(fixture.path("tries")).unwrap();
    let mut config = fixture.config(executor);
    config.env.push(("NEEDED".to_owned(), "9".to_owned()));
    let runner = FakeRunner::start(config).unwrap();
    let (_, job) = fixture.pipeline();
    let outcome = runner.wait_for_job(job.0).await;
    assert_eq!(outcome, failed("runner_system_failure", None));
    assert_eq!(
        runner.names(job.0),
        ["config", "prepare", "cleanup"].repeat(3)
    );
}

#[tokio::test]
async fn does_not_retry_prepare_after_build_failure() {
    let fixture = Fixture::new("build: {script: 'true', variables: {GIT_STRATEGY: none}}").await;
    let runner = fixture.start("#!/usr/bin/env bash\n[ \"$1\" = prepare ] && exit 1\nexit 0\n");
    let (_, job) = fixture.pipeline();
    let outcome = runner.wait_for_job(job.0).await;
    assert_eq!(outcome, failed("script_failure", Some(1)));
    assert_eq!(runner.names(job.0), ["config", "prepare", "cleanup"]);
}

#[tokio::test]
async fn runs_nothing_without_builds_folder() {
    let fixture = Fixture::new("build: {script: 'true', variables: {GIT_STRATEGY: none}}").await;
    let runner = FakeRunner::start(RunnerConfig {
        builds_dir: None,
        ..fixture.config(PLAIN)
    })
    .unwrap();
    let (_, job) = fixture.pipeline();
    let outcome = runner.wait_for_job(job.0).await;
    assert_eq!(outcome, failed("script_failure", None));
    let log = fixture.log(job);
    assert!(log.contains("the builds_dir is not configured"), "{log}");
}

const WAITS: &str = "
build:
  variables: {GIT_STRATEGY: none}
  script: [echo ready, sleep 1000]
  after_script: [echo afterwards]
";

#[tokio::test]
async fn cancelled_job_runs_cleanup() {
    let fixture = Fixture::new(WAITS).await;
    let runner = fixture.start(PLAIN);
    let (pipeline, job) = fixture.pipeline();
    fixture.gitlab.printed(job, "O ready\n").await.unwrap();
    fixture.gitlab.cancel_pipeline(pipeline).unwrap();
    assert_eq!(fixture.job(job).status, Status::Canceling);
    let outcome = runner.wait_for_job(job.0).await;
    assert_eq!(outcome, failed("unknown_failure", None));
    assert_eq!(fixture.job(job).status, Status::Canceled);
    assert_eq!(
        fixture.gitlab.pipeline(pipeline).unwrap().status,
        Status::Canceled
    );
    assert!(fixture.log(job).contains("\nafterwards\n"));
    let calls = runner.calls();
    let script = calls.iter().find(|call| call.what.name() == "build_script");
    assert_eq!(script.unwrap().exit, Some(Exit::Signal(15)));
    assert_eq!(calls.last().unwrap().what, Subcommand::Cleanup);
}

#[tokio::test]
async fn stops_job_that_was_deleted() {
    let fixture = Fixture::new(WAITS).await;
    let runner = fixture.start(PLAIN);
    let (pipeline, job) = fixture.pipeline();
    fixture.gitlab.printed(job, "O ready\n").await.unwrap();
    fixture.gitlab.delete_pipeline(pipeline).unwrap();
    runner.wait_for_job(job.0).await;
    let names = runner.names(job.0);
    assert_eq!(names.last().unwrap(), "cleanup");
    assert!(!names.contains(&"after_script".to_owned()), "{names:?}");
}

#[tokio::test]
async fn stops_job_that_exceeds_its_time_limit() {
    let fixture = Fixture::new(
        "build: {script: sleep 1000, timeout: 1 second, variables: {GIT_STRATEGY: none}}",
    )
    .await;
    let runner = fixture.start(PLAIN);
    let (_, job) = fixture.pipeline();
    let outcome = runner.wait_for_job(job.0).await;
    assert_eq!(outcome, failed("job_execution_timeout", None));
    assert_eq!(
        fixture.job(job).failure_reason.as_deref(),
        Some("job_execution_timeout")
    );
    assert_eq!(runner.names(job.0).last().unwrap(), "cleanup");
}

#[tokio::test]
async fn kills_executor_that_ignores_sigterm() {
    let fixture = Fixture::new(WAITS).await;
    let executor = PLAIN.replace(
        "    bash \"$2\"\n",
        "    trap 'echo deaf' TERM\n    [ $3 = build_script ] && { echo; echo ready; while :; do sleep 0.05; done; }\n    bash \"$2\"\n",
    );
    let runner = FakeRunner::start(RunnerConfig {
        graceful_kill: Duration::from_millis(100),
        ..fixture.config(&executor)
    })
    .unwrap();
    let (pipeline, job) = fixture.pipeline();
    fixture.gitlab.printed(job, "O ready\n").await.unwrap();
    fixture.gitlab.cancel_pipeline(pipeline).unwrap();
    runner.wait_for_job(job.0).await;
    let calls = runner.calls();
    let script = calls.iter().find(|call| call.what.name() == "build_script");
    assert_eq!(script.unwrap().exit, Some(Exit::Signal(9)));
    assert_eq!(fixture.job(job).status, Status::Canceled);
}

#[tokio::test]
async fn stops_jobs_on_shutdown() {
    let fixture = Fixture::new(WAITS).await;
    let runner = fixture.start(PLAIN);
    let (_, job) = fixture.pipeline();
    fixture.gitlab.printed(job, "O ready\n").await.unwrap();
    runner.stop().await;
    assert_eq!(
        fixture.job(job).failure_reason.as_deref(),
        Some("runner_interrupted")
    );
    assert_eq!(runner.names(job.0).last().unwrap(), "cleanup");
}

#[tokio::test]
async fn leaves_processes_when_killed() {
    let fixture = Fixture::new(
        "build: {script: ['echo $$ > $WORLD/pid', echo ready, exec sleep 1000], variables: {GIT_STRATEGY: none}}",
    )
    .await;
    let runner = fixture.start(PLAIN);
    let (_, job) = fixture.pipeline();
    fixture.gitlab.printed(job, "O ready\n").await.unwrap();
    runner.kill();
    let pid: i32 = fs_err::read_to_string(fixture.path("pid"))
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    let pid = nix::unistd::Pid::from_raw(pid);
    assert!(nix::sys::signal::kill(pid, None).is_ok());
    assert!(!runner.names(job.0).contains(&"cleanup".to_owned()));
    assert_eq!(fixture.job(job).status, Status::Running);
    let group = nix::unistd::getpgid(Some(pid)).unwrap();
    nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGKILL).unwrap();
}
