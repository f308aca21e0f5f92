//! A killed runner notifies no process: its stages detect it, end, report and clean up by
//! themselves.

use std::io::Read as _;
use std::process::Child;
use std::time::Duration;

use buildbtw_fake_server::Fault;
use buildbtw_model::FailureKind;
use buildbtw_model::api::Outcome;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use crate::stopping::pid_of;
use crate::support::{ENDLESS, Host, Job, QUICK};

/// Longer than any step takes on a busy machine; only a failing test waits that long.
const PATIENCE: Duration = Duration::from_secs(60);

async fn wait_for_heartbeat(host: &Host, job: &Job<'_>) {
    let attempt = job.attempt.unwrap();
    host.server
        .until("a heartbeat", |inner| {
            let attempt = inner.attempts.get(&attempt);
            attempt.is_some_and(|attempt| attempt.heartbeats > 0)
        })
        .await;
}

/// Kills only the runner, and waits until none of its processes prints any more. Its output stays
/// open. Returns the errors that its stages printed.
fn kill_runner(mut runner: Child) -> String {
    kill(pid_of(&runner), Signal::SIGKILL).unwrap();
    runner.wait().unwrap();
    let mut output = runner.stdout.take().unwrap();
    let (sender, end) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let read = output.read_to_end(&mut Vec::new());
        sender.send(read.is_ok()).unwrap();
    });
    assert_eq!(end.recv_timeout(PATIENCE), Ok(true), "the stage continues");
    let mut complaints = String::new();
    if let Some(mut errors) = runner.stderr.take() {
        errors.read_to_string(&mut complaints).unwrap();
    }
    complaints
}

#[track_caller]
fn expect_lost(job: &Job<'_>) {
    let attempt = job.attempt();
    assert!(
        matches!(
            &attempt.outcomes[..],
            [Outcome::Failed { kind: FailureKind::Infrastructure, explanation }]
                if explanation.message.contains("runner") && explanation.message.contains("gone")
        ),
        "{attempt:?}"
    );
    assert!(!attempt.is_final);
}

#[tokio::test(flavor = "multi_thread")]
async fn ends_silent_build_with_its_runner() {
    let host = Host::start(ENDLESS).await;
    let job = host.job(7, "a");
    job.prepare();
    let script = job.write_script("");
    let arguments = ["run", script.to_str().unwrap(), "build_script"];
    let runner = job.start_with_runner(&arguments);
    wait_for_heartbeat(&host, &job).await;
    let complaints = kill_runner(runner);
    expect_lost(&job);
    assert!(
        host.leftovers().is_empty(),
        "{:?}: {complaints}",
        host.leftovers()
    );
    // The job's number is free again.
    job.stage(&["prepare"]).expect(0);
    job.clean_up();
}

#[tokio::test(flavor = "multi_thread")]
async fn ends_silent_build_with_its_runner_across_intermediate_processes() {
    let host = Host::start(ENDLESS).await;
    for between in [
        r#"timeout 86400 "$@"; exit $?"#,
        r#"setsid -w "$@"; exit $?"#,
    ] {
        let job = host.job(7, "a");
        job.prepare();
        let script = job.write_script("");
        let arguments = ["run", script.to_str().unwrap(), "build_script"];
        let runner = job.start_with_runner_through(between, &arguments);
        wait_for_heartbeat(&host, &job).await;
        let complaints = kill_runner(runner);
        expect_lost(&job);
        assert!(
            host.leftovers().is_empty(),
            "{:?}: {complaints}",
            host.leftovers()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ends_build_when_its_output_is_closed() {
    let host = Host::start(ENDLESS).await;
    let job = host.job(7, "a");
    job.prepare();
    let script = job.write_script("");
    let mut child = job.start(&["run", script.to_str().unwrap(), "build_script"]);
    wait_for_heartbeat(&host, &job).await;
    drop(child.stdout.take());
    assert!(!child.wait().unwrap().success());
    expect_lost(&job);
    assert!(host.leftovers().is_empty(), "{:?}", host.leftovers());
}

#[tokio::test(flavor = "multi_thread")]
async fn does_not_report_cancellation_when_front_dies_with_its_runner() {
    let host = Host::start(ENDLESS).await;
    let job = host.job(7, "a");
    job.prepare();
    let script = job.write_script("");
    let arguments = ["run", script.to_str().unwrap(), "build_script"];
    let mut runner = job.start_with_runner(&arguments);
    wait_for_heartbeat(&host, &job).await;
    let front = fs_err::read_to_string(host.state().join("jobs/7/pid")).unwrap();
    let front = Pid::from_raw(front.parse().unwrap());
    kill(front, Signal::SIGSTOP).unwrap();
    kill(pid_of(&runner), Signal::SIGKILL).unwrap();
    runner.wait().unwrap();
    killpg(front, Signal::SIGKILL).unwrap();
    // Waits for the root side.
    job.clean_up();
    expect_lost(&job);
    assert!(host.leftovers().is_empty(), "{:?}", host.leftovers());
}

#[tokio::test(flavor = "multi_thread")]
async fn ends_silent_script_with_its_runner() {
    let host = Host::start(QUICK).await;
    for stage in ["get_sources", "after_script"] {
        let job = host.job(7, "a");
        job.prepare();
        let there = job.builds().join("there");
        let text = format!(
            "setsid sleep 86400 & touch '{}'; sleep 86400",
            there.display()
        );
        let script = job.write_script(&text);
        let runner = job.start_with_runner(&["run", script.to_str().unwrap(), stage]);
        while !there.exists() {
            tokio::task::yield_now().await;
        }
        kill_runner(runner);
        assert!(host.leftovers().is_empty(), "{:?}", host.leftovers());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ends_prepare_with_its_runner() {
    let host = Host::start(QUICK).await;
    let job = host.job(7, "a");
    host.server.set_faults(|_, _| Fault::Unavailable);
    let mut runner = job.start_with_runner(&["prepare"]);
    // It waits for the server by now, and does not log that.
    let root_side = host.state().join("root");
    while !root_side.exists() {
        tokio::task::yield_now().await;
    }
    let errors = runner.stderr.take();
    kill_runner(runner);
    drop(errors);
    assert!(host.leftovers().is_empty(), "{:?}", host.leftovers());
}

#[tokio::test(flavor = "multi_thread")]
async fn does_not_treat_live_runner_as_dead() {
    let host = Host::start("builder.simulated = { seconds = 0.5 }").await;
    let job = host.job(7, "a");
    // The process that prepared it has exited, and another one continues.
    job.prepare_with_exited_runner();
    job.script(
        "get_sources",
        &format!("mkdir -p '{}'", job.project().display()),
    )
    .expect(0);
    job.script("build_script", "").expect(0);
    job.clean_up();
}
