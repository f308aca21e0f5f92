//! Jobs as a runner runs them: sources and artifacts of ordinary jobs, lost responses, cancellation
//! and timeouts. `GITLAB_RUNNER=/path/to/gitlab-runner` uses the real one.

use std::path::PathBuf;

use buildbtw_fake_gitlab::{Fault, JobView, On, Status, Times};
use buildbtw_model::BuildStatus;
use buildbtw_tests::forge::TEMPLATE;
use buildbtw_tests::runner::{SILENT, Settings};
use buildbtw_tests::{
    Forge, Runner, Server, cli, eventually, is_root, pacman_upgrades, printed, public_folder,
};
use serde_json::json;
use tokio::runtime::Runtime;

const NOTHING: [PathBuf; 0] = [];

fn push(forge: &Forge, name: &str) {
    let srcinfo = format!(
        "pkgbase = {name}\n\tpkgver = 1\n\tpkgrel = 1\n\tarch = x86_64\n\npkgname = {name}\n"
    );
    forge.push(name, &srcinfo, "#\n");
}

fn start_server(forge: &Forge, folder: &std::path::Path) -> Server {
    let mut server = Server::start_with_gitlab(folder, forge);
    server.wait_until_logged("finished a full resync");
    forge.hook(&server.url());
    server
}

fn wait_until_ended(forge: &Forge, runtime: &Runtime, job: &JobView) -> JobView {
    let job = forge
        .gitlab
        .job_until(job.id, |job| job.status.is_complete());
    runtime.block_on(job).unwrap()
}

/// Two jobs that buildbtw did not start: the second one downloads an artifact of the first.
const ORDINARY: &str = r#"
stages: [one, two]
one:
  stage: one
  tags: [buildbtw, x86_64]
  variables: {GIT_STRATEGY: clone, GIT_SUBMODULE_STRATEGY: recursive, CI_DEBUG_TRACE: "true"}
  id_tokens:
    BUILDBTW_ID_TOKEN: {aud: "https://build.example"}
  script: [echo the script was run]
  after_script:
    - git -C vendor/inner log --format=%s
    - cp vendor/inner/text copied
  artifacts: {paths: [copied], when: always}
two:
  stage: two
  when: always
  tags: [buildbtw, x86_64]
  variables: {GIT_STRATEGY: none}
  script: ["true"]
  after_script: [cat copied]
"#;

#[test]
fn ordinary_jobs_get_sources_submodules_and_artifacts() {
    if !is_root() {
        return;
    }
    let folder = public_folder();
    let forge = Forge::that_builds(folder.path());
    let inner = forge.gitlab.create_project("g/inner").unwrap();
    let text: &[u8] = b"from the submodule\n";
    let inner_commit = forge
        .gitlab
        .commit(inner, "main", &[("text", Some(text))], "The inner commit")
        .unwrap();
    let outer = forge.create_with_submodule(
        "g/outer",
        ORDINARY,
        "vendor/inner",
        "g/inner",
        &inner_commit,
    );
    push(&forge, "hello");
    let server = start_server(&forge, folder.path());
    let runner = Runner::start(&forge, &server, folder.path(), Settings::default());
    let runtime = Runtime::new().unwrap();
    let pipeline = forge
        .gitlab
        .create_pipeline(outer, "main", &[], &json!({}))
        .unwrap();
    let jobs = forge.gitlab.jobs(pipeline);
    let one = wait_until_ended(&forge, &runtime, &jobs[0]);
    let log = forge.log(one.id);
    assert_eq!(
        one.failure_reason.as_deref(),
        Some("script_failure"),
        "{log}"
    );
    assert!(log.contains("the job lacks BUILDBTW_ATTEMPT"), "{log}");
    assert!(log.contains("The inner commit"), "{log}");
    // Every command is shown, and no secret.
    assert!(log.contains("+ git -C vendor/inner log"), "{log}");
    for secret in [one.token.as_str(), "eyJ", "the script was run\n"] {
        assert!(!log.contains(secret), "{secret}: {log}");
    }
    let two = wait_until_ended(&forge, &runtime, &jobs[1]);
    let log = forge.log(two.id);
    assert!(log.contains("from the submodule"), "{log}");
    eventually("the end of the last job", || {
        runner.leftovers().is_empty().then_some(())
    });

    // Manually created, and with an unknown attempt.
    let inputs = json!({
        "attempt": "01890a5d-ac96-774b-bcce-b302099a8057",
        "server": server.url(),
        "pkgbase": "hello",
        "architecture": "x86_64",
    });
    let pipeline = forge
        .gitlab
        .create_pipeline(forge.project("hello"), "main", &[], &inputs)
        .unwrap();
    let job = wait_until_ended(&forge, &runtime, &forge.gitlab.jobs(pipeline)[0]);
    let log = forge.log(job.id);
    assert_eq!(
        job.failure_reason.as_deref(),
        Some("script_failure"),
        "{log}"
    );
    assert!(log.contains("has no attempt 01890a5d"), "{log}");
}

/// A job after the build.
const LATER: &str = "
inspect:
  stage: later
  tags: [buildbtw, x86_64]
  variables: {GIT_STRATEGY: none}
  script: ['true']
  after_script: [ls buildbtw]
";

fn on(method: &str, end: &str) -> On {
    On::Method {
        method: method.to_owned(),
        end: end.to_owned(),
    }
}

#[test]
fn build_survives_lost_responses_and_passes_packages_to_later_job() {
    if !is_root() {
        return;
    }
    let folder = public_folder();
    let forge = Forge::that_builds(folder.path());
    for name in ["hello", "talkative"] {
        push(&forge, name);
    }
    let template = TEMPLATE.replace("stages:\n  - build\n", "stages:\n  - build\n  - later\n");
    forge.build_with("hello", "later.yml", &format!("{template}{LATER}"));
    let server = start_server(&forge, folder.path());
    let faults = forge.gitlab.faults();
    faults.add(on("PATCH", "/trace"), Times::Next(2), Fault::LoseResponse);
    faults.add(on("PUT", ""), Times::Next(2), Fault::LoseResponse);
    let settings = Settings {
        environment: &["TMPDIR=/a/folder/that/is/not/here"],
        ..Settings::default()
    };
    let runner = Runner::start(&forge, &server, folder.path(), settings);
    let output = cli(&server, &["new", "hello/main", "--name", "a", "--follow"]);
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    pacman_upgrades(folder.path(), &server, "a");
    let runtime = Runtime::new().unwrap();
    let jobs = eventually("the later job", || {
        let jobs = forge.jobs("hello");
        (jobs.len() == 2).then_some(jobs)
    });
    let (build, later) = (
        wait_until_ended(&forge, &runtime, &jobs[0]),
        wait_until_ended(&forge, &runtime, &jobs[1]),
    );
    let log = forge.log(build.id);
    assert_eq!(build.status, Status::Success, "{log}");
    // No chunk of it is duplicated.
    assert_eq!(log.matches("This build in buildbtw").count(), 1, "{log}");
    assert!(forge.gitlab.job_artifacts(build.id).is_some(), "{log}");
    let log = forge.log(later.id);
    assert!(log.contains("hello-1-1-x86_64.pkg.tar"), "{log}");
    eventually("the end of the last job", || {
        runner.leftovers().is_empty().then_some(())
    });
    drop(runner);

    // A log that GitLab truncates is complete at the server.
    let settings = Settings {
        output_limit: 1,
        ..Settings::default()
    };
    let _runner = Runner::start(&forge, &server, folder.path(), settings);
    let output = cli(
        &server,
        &["new", "talkative/main", "--name", "b", "--follow"],
    );
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    pacman_upgrades(folder.path(), &server, "b");
    let job = wait_until_ended(&forge, &runtime, &forge.jobs("talkative")[0]);
    assert_eq!(job.status, Status::Success);
    let log = forge.log(job.id);
    assert!(log.contains("log exceeded limit of 1024 bytes"), "{log}");
    let log = cli(&server, &["logs", "b", "talkative"]);
    let log = String::from_utf8_lossy(&log.stdout).into_owned();
    assert!(log.contains("simulating talkative"), "{log}");
}

/// Neither job produces packages.
#[test]
fn concurrent_jobs_end_by_cancellation_and_timeout() {
    if !is_root() {
        return;
    }
    let folder = public_folder();
    let forge = Forge::that_builds(folder.path());
    for name in ["silent", "slow"] {
        push(&forge, name);
    }
    let short = TEMPLATE.replace("timeout: 8 hours", "timeout: 6 seconds");
    forge.build_with("slow", "short.yml", &short);
    let server = start_server(&forge, folder.path());
    let settings = Settings {
        executor: SILENT,
        ..Settings::default()
    };
    let runner = Runner::start(&forge, &server, folder.path(), settings);
    for name in ["silent", "slow"] {
        let output = cli(&server, &["new", &format!("{name}/main"), "--name", name]);
        assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    }
    let runtime = Runtime::new().unwrap();
    let [silent, slow] = ["silent", "slow"].map(|name| {
        let job = eventually("a job", || forge.jobs(name).into_iter().next());
        runtime
            .block_on(forge.gitlab.printed(job.id, "simulating"))
            .unwrap();
        job
    });
    assert!(runner.root_side(silent.id.0).is_some() && runner.root_side(slow.id.0).is_some());
    forge.gitlab.cancel_job(silent.id).unwrap();
    assert_eq!(
        wait_until_ended(&forge, &runtime, &silent).status,
        Status::Canceled,
        "{}",
        forge.log(silent.id)
    );
    let slow = wait_until_ended(&forge, &runtime, &slow);
    assert_eq!(
        slow.failure_reason.as_deref(),
        Some("job_execution_timeout"),
        "{}",
        forge.log(slow.id)
    );
    // Neither waits for its lease.
    for name in ["silent", "slow"] {
        let name = name.parse().unwrap();
        eventually("the end of the attempt", || {
            let iteration = runtime.block_on(server.client().iteration(&name, None));
            let status = iteration.unwrap().builds[0].status;
            let works = matches!(status, BuildStatus::Dispatched | BuildStatus::Building);
            (!works).then_some(())
        });
    }
    assert_eq!(forge.jobs("silent").len(), 1, "the cancellation is final");
    eventually("the end of the jobs", || {
        runner.leftovers().is_empty().then_some(())
    });
    assert_eq!(runner.leftovers(), NOTHING);
}
