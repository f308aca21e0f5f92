//! Jobs that are stopped: the report to the server, and that nothing is left.

use std::time::{Duration, Instant};

use buildbtw_model::FailureKind;
use buildbtw_model::api::Outcome;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use crate::support::{ENDLESS, Host, Job, QUICK, StageResult};

/// Much less than these builds take, and enough for a busy machine: the job has to stop, not to
/// wait.
const FEW_SECONDS: Duration = Duration::from_secs(60);

pub(crate) fn pid_of(child: &std::process::Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).unwrap())
}

async fn building<'a>(host: &'a Host, id: u64) -> (Job<'a>, std::process::Child) {
    let job = host.job(id, "a");
    job.prepare();
    let script = job.write_script("");
    let child = job.start(&["run", script.to_str().unwrap(), "build_script"]);
    let attempt = job.attempt.unwrap();
    host.server
        .until("a heartbeat", |inner| {
            let attempt = inner.attempts.get(&attempt);
            attempt.is_some_and(|a| a.heartbeats > 0)
        })
        .await;
    (job, child)
}

fn cancelled(job: &Job<'_>) -> bool {
    matches!(
        &job.attempt().outcomes[..],
        [Outcome::Failed {
            kind: FailureKind::Cancelled,
            explanation,
        }] if explanation.message.contains("status in GitLab says why")
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_stopped_build_and_leaves_nothing() {
    let host = Host::start(ENDLESS).await;
    for (id, signal) in (1..).zip([Signal::SIGTERM, Signal::SIGINT]) {
        let (job, child) = building(&host, id).await;
        let started = Instant::now();
        killpg(pid_of(&child), signal).unwrap();
        let result = StageResult::from(child.wait_with_output().unwrap());
        assert!(started.elapsed() < FEW_SECONDS);
        assert!(result.code.is_some_and(|code| code != 0), "{result:?}");
        assert!(cancelled(&job), "{:?}", job.attempt());
        // The job cannot know the cause, and names none that may be wrong.
        let log = format!("{result:?}");
        assert!(log.contains("its status in GitLab says why"), "{log}");
        assert!(
            !log.contains("was cancelled") && !log.contains("ran out of time"),
            "{log}"
        );
        job.clean_up();
        assert!(host.leftovers().is_empty(), "{:?}", host.leftovers());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stops_build_when_front_is_killed() {
    let host = Host::start(ENDLESS).await;
    let (job, child) = building(&host, 7).await;
    killpg(pid_of(&child), Signal::SIGKILL).unwrap();
    child.wait_with_output().unwrap();
    // Waits for the root side.
    job.clean_up();
    assert!(cancelled(&job), "{:?}", job.attempt());
    assert!(host.leftovers().is_empty(), "{:?}", host.leftovers());
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_killed_root_side_as_system_failure() {
    let host = Host::start(ENDLESS).await;
    let (job, child) = building(&host, 7).await;
    let pid = fs_err::read_to_string(host.state().join("root/jobs/7/pid")).unwrap();
    kill(Pid::from_raw(pid.parse().unwrap()), Signal::SIGKILL).unwrap();
    StageResult::from(child.wait_with_output().unwrap())
        .expect(42)
        .prints("without a result");
    job.clean_up();
    assert!(host.leftovers().is_empty(), "{:?}", host.leftovers());
}

#[tokio::test(flavor = "multi_thread")]
async fn cleanup_ends_running_build() {
    let host = Host::start(ENDLESS).await;
    let (job, mut child) = building(&host, 7).await;
    job.clean_up();
    assert!(!child.wait().unwrap().success());
    assert!(host.leftovers().is_empty(), "{:?}", host.leftovers());
}

#[tokio::test(flavor = "multi_thread")]
async fn stops_job_without_waiting_for_unreachable_server() {
    let host = Host::start(ENDLESS).await;
    let (job, child) = building(&host, 7).await;
    host.server.kill();
    let started = Instant::now();
    killpg(pid_of(&child), Signal::SIGTERM).unwrap();
    child.wait_with_output().unwrap();
    assert!(started.elapsed() < FEW_SECONDS);
    job.clean_up();
    assert!(host.leftovers().is_empty(), "{:?}", host.leftovers());
}

#[tokio::test(flavor = "multi_thread")]
async fn ends_processes_of_stopped_script() {
    let host = Host::start(QUICK).await;
    for (id, signal) in (1..).zip([Signal::SIGTERM, Signal::SIGKILL]) {
        let job = host.job(id, "a");
        job.prepare();
        let pipe = job.builds().join("pipe");
        let script = format!(
            "trap '' TERM; mkfifo -m 666 '{0}'; setsid sleep 86400 & echo > '{0}'; wait",
            pipe.display()
        );
        let script = job.write_script(&script);
        let child = job.start(&["run", script.to_str().unwrap(), "after_script"]);
        // Reading from it waits for the script to reach this point.
        while !pipe.exists() {
            tokio::task::yield_now().await;
        }
        fs_err::read(&pipe).unwrap();
        killpg(pid_of(&child), signal).unwrap();
        // Its output is closed by the last process that has it.
        child.wait_with_output().unwrap();
        job.clean_up();
        assert!(host.leftovers().is_empty(), "{:?}", host.leftovers());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reaps_only_jobs_of_a_dead_runner() {
    let host = Host::start(ENDLESS).await;
    let (dead, alive) = (host.job(1, "a"), host.job(2, "b"));
    dead.prepare_with_exited_runner();
    alive.prepare();
    let (running, mut child) = building(&host, 3).await;
    let reap = || StageResult::from(host.command().arg("reap").output().unwrap());
    reap().expect(0);
    assert!(!dead.builds().exists());
    assert!(alive.builds().exists() && running.builds().exists());
    assert!(child.try_wait().unwrap().is_none());
    // Other files in the folder are not touched.
    let foreign = host.state().join("jobs/notes");
    fs_err::create_dir(&foreign).unwrap();
    reap().expect(0);
    assert!(foreign.exists());
    killpg(pid_of(&child), Signal::SIGTERM).unwrap();
    child.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn does_not_reap_job_whose_stages_are_started_by_scripts() {
    let host = Host::start(QUICK).await;
    let reap = || StageResult::from(host.command().arg("reap").output().unwrap());
    for between in [
        r#""$@"; exit $?"#,
        r#"timeout 100 "$@"; exit $?"#,
        r#"setsid -w "$@"; exit $?"#,
        r#"set -m; "$@"; exit $?"#,
        r#"timeout 100 setsid -w timeout 100 bash -c 'set -m; "$@"; exit $?' bash "$@"; exit $?"#,
    ] {
        let job = host.job(1, "a");
        job.stage_through(between, &["prepare"]).expect(0);
        reap().expect(0);
        assert!(job.builds().exists(), "{between}");
        // The next job cleans up after dead ones, too.
        let next = host.job(2, "a");
        next.stage_through(between, &["prepare"]).expect(0);
        let script = job.write_script("echo it ran");
        let get_sources = ["run", script.to_str().unwrap(), "get_sources"];
        job.stage_through(between, &get_sources)
            .expect(0)
            .prints("it ran");
        next.clean_up();
        job.clean_up();
    }
}
