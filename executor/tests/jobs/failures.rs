//! Jobs that fail, with the failure kind of each.

use buildbtw_fake_server::Fault;
use buildbtw_model::FailureKind;
use buildbtw_model::api::Outcome;

use crate::support::{ENDLESS, Host, QUICK, StageResult};

fn failed(outcome: &Outcome) -> (FailureKind, &str) {
    match outcome {
        Outcome::Failed { kind, explanation } => (*kind, &explanation.message),
        Outcome::Succeeded { .. } => panic!("{outcome:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fails_job_without_attempt_as_build_failure() {
    let host = Host::start(QUICK).await;
    let mut job = host.empty_job(7);
    job.prepare();
    job.script("step_script", "")
        .expect(41)
        .prints("BUILDBTW_ATTEMPT and BUILDBTW_ID_TOKEN")
        .prints("notes/gitlab.md");
    assert_eq!(fs_err::read_to_string(job.exit_code_file()).unwrap(), "1\n");
    job.set("BUILDBTW_ATTEMPT", "../../etc");
    job.set("BUILDBTW_ID_TOKEN", "a");
    job.script("step_script", "")
        .expect(41)
        .prints("BUILDBTW_ATTEMPT");
    job.set("BUILDBTW_ATTEMPT", "01890a5d-ac96-774b-bcce-b302099a8057");
    job.set("BUILDBTW_ID_TOKEN", "a b\n");
    job.script("step_script", "")
        .expect(41)
        .prints("BUILDBTW_ID_TOKEN");
    assert!(
        host.server
            .change(|inner| inner.exchange_requests.is_empty())
    );
    job.clean_up();
}

#[tokio::test(flavor = "multi_thread")]
async fn fails_job_but_not_package_for_invalid_token() {
    let host = Host::start(QUICK).await;
    let mut job = host.job(7, "a");
    job.set("BUILDBTW_ID_TOKEN", "forged");
    job.prepare();
    job.script("build_script", "")
        .expect(41)
        .prints("Forbidden");
    assert!(job.attempt().outcomes.is_empty());
    job.clean_up();
    assert!(host.leftovers().is_empty(), "{:?}", host.leftovers());
}

#[tokio::test(flavor = "multi_thread")]
async fn fails_job_with_unknown_attempt_as_build_failure() {
    let host = Host::start(QUICK).await;
    let mut job = host.job(7, "a");
    let unknown = "01890a5d-ac96-774b-bcce-b302099a8057";
    job.set("BUILDBTW_ATTEMPT", unknown);
    job.prepare();
    job.script("build_script", "")
        .expect(41)
        .prints(&format!("has no attempt {unknown}"))
        .prints("started by hand");
    job.clean_up();
    assert!(host.leftovers().is_empty(), "{:?}", host.leftovers());
}

#[tokio::test(flavor = "multi_thread")]
async fn maps_failure_kind_to_exit_code() {
    let failures: String = [
        ("bad", "package"),
        ("slow", "timeout"),
        ("unlucky", "infrastructure"),
    ]
    .iter()
    .map(|(name, kind)| {
        format!(
            "[builder.simulated.failures.{name}]\nkind = '{kind}'\nmessage = 'x.c: error: boom'\n"
        )
    })
    .collect();
    let host = Host::start(&failures).await;
    let cases = [("bad", 41), ("slow", 41), ("unlucky", 42)];
    for (id, (name, code)) in (1..).zip(cases) {
        let job = host.job(id, name);
        job.prepare();
        fs_err::write(job.exit_code_file(), "77").unwrap();
        let result = job
            .script("build_script", "")
            .expect(code)
            .prints("x.c: error: boom");
        assert!(
            result.out.contains("\x1b[1;31m==> ERROR:"),
            "{}",
            result.out
        );
        assert_eq!(job.exit_code_file().exists(), code == 41, "{name}");
        let attempt = job.attempt();
        assert_eq!(failed(&attempt.outcomes[0]).1, "x.c: error: boom");
        // A stale code would be reported for the next failure.
        job.script("after_script", "true").expect(0);
        assert!(!job.exit_code_file().exists());
        job.clean_up();
    }
    assert!(host.leftovers().is_empty(), "{:?}", host.leftovers());
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_wrong_architecture_immediately() {
    let host = Host::start(QUICK).await;
    let mut job = host.job(7, "a");
    let attempt = host.server.change(|inner| {
        let (key, mut build) = inner.exchanges.drain().next().unwrap();
        build.architecture = "riscv64".parse().unwrap();
        inner.exchanges.insert(key.clone(), build);
        // The stand-in expects a report of an attempt before it ends.
        inner.attempts.entry(key.0).or_default().heartbeats = 1;
        key.0
    });
    job.attempt = Some(attempt);
    job.prepare();
    job.script("build_script", "").expect(42).prints("riscv64");
    assert_eq!(
        failed(&job.attempt().outcomes[0]).0,
        FailureKind::Infrastructure
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn fails_job_when_server_cancels_build() {
    let host = Host::start(ENDLESS).await;
    let job = host.job(7, "a");
    job.prepare();
    let script = job.write_script("");
    let child = job.start(&["run", script.to_str().unwrap(), "build_script"]);
    let id = job.attempt.unwrap();
    host.server
        .until("a heartbeat", |inner| {
            inner.attempts.get(&id).is_some_and(|a| a.heartbeats > 0)
        })
        .await;
    host.server
        .change(|inner| inner.attempts.get_mut(&id).unwrap().cancel = true);
    StageResult::from(child.wait_with_output().unwrap())
        .expect(41)
        .prints("cancelled");
    assert_eq!(failed(&job.attempt().outcomes[0]).0, FailureKind::Cancelled);
    job.clean_up();
    assert!(host.leftovers().is_empty(), "{:?}", host.leftovers());
}

#[tokio::test(flavor = "multi_thread")]
async fn fails_job_when_server_ended_the_attempt() {
    let host = Host::start(ENDLESS).await;
    let job = host.job(7, "a");
    job.prepare();
    let script = job.write_script("");
    let child = job.start(&["run", script.to_str().unwrap(), "build_script"]);
    let id = job.attempt.unwrap();
    host.server
        .until("a heartbeat", |inner| {
            inner.attempts.get(&id).is_some_and(|a| a.heartbeats > 0)
        })
        .await;
    host.server
        .change(|inner| inner.attempts.get_mut(&id).unwrap().has_ended = true);
    StageResult::from(child.wait_with_output().unwrap())
        .expect(41)
        .prints("ended this attempt");
}

#[tokio::test(flavor = "multi_thread")]
async fn blames_package_for_rejected_upload() {
    let host = Host::start(QUICK).await;
    // The stand-in rejects packages of this name.
    let job = host.job(7, "refused");
    job.prepare();
    job.script("build_script", "")
        .expect(41)
        .prints("the server rejected `");
    assert!(!job.project().join("buildbtw").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn retries_after_lost_response() {
    let host = Host::start(QUICK).await;
    let job = host.job(7, "a");
    job.prepare();
    host.server.set_faults(|number, _| match number % 4 {
        1 => Fault::LoseResponse,
        3 => Fault::Unavailable,
        _ => Fault::None,
    });
    job.script("build_script", "").expect(0);
    let tokens = host.server.change(|inner| {
        let requests = inner.exchange_requests.iter();
        requests
            .map(|r| r.token.clone())
            .collect::<std::collections::BTreeSet<_>>()
    });
    assert_eq!(tokens.len(), 1, "each try has the same token");
    assert_eq!(job.attempt().outcomes.len(), 1);
}
