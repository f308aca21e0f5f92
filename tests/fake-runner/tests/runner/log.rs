use buildbtw_fake_gitlab::{Fault, On, Status, Times};
use buildbtw_fake_runner::{FakeRunner, Outcome, RunnerConfig};

use crate::support::{Fixture, PLAIN};

const TALKS: &str = "
build:
  variables: {GIT_STRATEGY: none}
  script:
    - for i in $(seq 200); do echo line $i; done
    - until [ -e $WORLD/go ]; do sleep 0.01; done
    - echo last
";

fn lines(log: &str) -> usize {
    log.lines().filter(|line| line.starts_with("line ")).count()
}

fn on(method: &str, end: &str) -> On {
    On::Method {
        method: method.to_owned(),
        end: end.to_owned(),
    }
}

const PRINTS: &str = "
build:
  variables: {GIT_STRATEGY: none}
  script:
    - echo token glpat-abcdefghij1234567890.end
    - echo to stderr >&2
    - printf '10%%\\r20%%\\r'; echo 100%
";

#[tokio::test]
async fn adds_timestamps_and_masks_tokens_by_prefix() {
    let fixture = Fixture::new(PRINTS).await;
    let runner = fixture.start(PLAIN);
    let (_, job) = fixture.pipeline();
    assert_eq!(runner.wait_for_job(job.0).await, Outcome::Success);
    let raw = fixture.gitlab.job_trace(job);
    let is_stamped = |line: &str| {
        let bytes = line.as_bytes();
        bytes.len() >= 32 && bytes[19] == b'.' && bytes[26] == b'Z' && bytes[28] == b'0'
    };
    assert!(raw.lines().all(is_stamped), "{raw}");
    assert!(raw.contains(" 01E to stderr\n"), "{raw}");
    assert!(raw.contains(" 01O token glpat-[MASKED]\n"), "{raw}");
    assert!(!raw.contains("abcdefghij"), "{raw}");
    assert!(fixture.log(job).contains("\n10%\r20%\r100%\n"), "{raw}");
    drop(runner);

    for (without, variables) in [(true, ""), (false, ", FF_TIMESTAMPS: 'false'")] {
        let text = PRINTS.replace("none}", &format!("none{variables}}}"));
        let fixture = Fixture::new(&text).await;
        let runner = FakeRunner::start(RunnerConfig {
            timestamps: !without,
            ..fixture.config(PLAIN)
        })
        .unwrap();
        let (_, job) = fixture.pipeline();
        assert_eq!(runner.wait_for_job(job.0).await, Outcome::Success);
        let raw = fixture.gitlab.job_trace(job);
        assert!(raw.contains("\nto stderr\n"), "{raw}");
    }
}

#[tokio::test]
async fn truncates_log_at_limit_and_continues_job() {
    let fixture = Fixture::new(TALKS).await;
    fs_err::write(fixture.path("go"), "").unwrap();
    let runner = FakeRunner::start(RunnerConfig {
        output_limit: 4096,
        ..fixture.config(PLAIN)
    })
    .unwrap();
    let (_, job) = fixture.pipeline();
    assert_eq!(runner.wait_for_job(job.0).await, Outcome::Success);
    let raw = fixture.gitlab.job_trace(job);
    assert!(
        raw.contains("Job's log exceeded limit of 4096 bytes."),
        "{raw}"
    );
    assert!(!raw.contains("last") && raw.len() < 4400, "{}", raw.len());
}

#[tokio::test]
async fn debug_trace_shows_commands_without_secrets() {
    let text = PRINTS.replace("none}", "none, CI_DEBUG_TRACE: 'true'}");
    let fixture = Fixture::new(&text).await;
    let runner = fixture.start(PLAIN);
    let (_, job) = fixture.pipeline();
    assert_eq!(runner.wait_for_job(job.0).await, Outcome::Success);
    let log = fixture.log(job);
    assert!(log.contains("+ echo to stderr"), "{log}");
    assert!(log.contains("CI_JOB_TOKEN='[MASKED]'") || log.contains("CI_JOB_TOKEN=[MASKED]"));
    let requests = fixture.gitlab.requests();
    let patches = requests.iter().filter(|one| one.method == "PATCH");
    assert!(patches.count() > 0);
}

#[tokio::test]
async fn does_not_duplicate_chunk_after_lost_response() {
    let fixture = Fixture::new(TALKS).await;
    let faults = fixture.gitlab.faults();
    faults.add(on("PATCH", "/trace"), Times::Next(2), Fault::LoseResponse);
    let runner = fixture.start(PLAIN);
    let (_, job) = fixture.pipeline();
    fixture.gitlab.printed(job, "line 200").await.unwrap();
    fs_err::write(fixture.path("go"), "").unwrap();
    assert_eq!(runner.wait_for_job(job.0).await, Outcome::Success);
    let log = fixture.log(job);
    assert_eq!(lines(&log), 200);
    let statuses: Vec<Option<u16>> = fixture
        .gitlab
        .requests()
        .into_iter()
        .filter(|request| request.method == "PATCH")
        .map(|request| request.status)
        .collect();
    assert!(statuses.contains(&Some(416)), "{statuses:?}");
}

#[tokio::test]
async fn resends_damaged_log() {
    let fixture = Fixture::new(TALKS).await;
    let runner = fixture.start(PLAIN);
    let (_, job) = fixture.pipeline();
    fixture.gitlab.printed(job, "line 200").await.unwrap();
    fixture.gitlab.corrupt_trace(job).unwrap();
    fs_err::write(fixture.path("go"), "").unwrap();
    assert_eq!(runner.wait_for_job(job.0).await, Outcome::Success);
    let log = fixture.log(job);
    assert_eq!(lines(&log), 200);
    assert!(log.contains("Running with gitlab-runner"), "{log}");
    let requests = fixture.gitlab.requests();
    assert!(requests.iter().any(|request| request.status == Some(412)));
}

#[tokio::test]
async fn repeats_final_state_until_gitlab_accepts_it() {
    let fixture = Fixture::new("build: {script: 'true', variables: {GIT_STRATEGY: none}}").await;
    fixture.gitlab.hold_final_updates(2);
    let faults = fixture.gitlab.faults();
    faults.add(
        on("POST", "/jobs/request"),
        Times::Next(1),
        Fault::status(503),
    );
    let runner = fixture.start(PLAIN);
    let (_, job) = fixture.pipeline();
    assert_eq!(runner.wait_for_job(job.0).await, Outcome::Success);
    assert_eq!(fixture.job(job).status, Status::Success);
    let requests = fixture.gitlab.requests();
    let held = requests
        .iter()
        .filter(|request| request.method == "PUT" && request.status == Some(202));
    assert_eq!(held.count(), 2);
}

#[tokio::test]
async fn drops_job_that_gitlab_no_longer_knows() {
    let fixture = Fixture::new("build: {script: 'true', variables: {GIT_STRATEGY: none}}").await;
    let (pipeline, job) = fixture.pipeline();
    // Between the assignment of the job and the runner's confirmation.
    let faults = fixture.gitlab.faults();
    let path = format!("/api/v4/jobs/{job}");
    faults.add(On::Path(path), Times::Next(1), Fault::status(404));
    let runner = fixture.start(PLAIN);
    assert_eq!(runner.wait_for_job(job.0).await, Outcome::Dropped);
    assert!(runner.calls().is_empty());
    fixture.gitlab.cancel_pipeline(pipeline).unwrap();
    assert_eq!(fixture.job(job).status, Status::Canceled);
}
