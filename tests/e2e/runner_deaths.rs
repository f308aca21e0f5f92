//! Each process of a job on a runner's host is killed in turn, while a build prints nothing: each
//! time nothing is left within seconds, and the build is retried.

use buildbtw_fake_gitlab::JobView;
use buildbtw_model::{AttemptStatus, BuildStatus, FailureKind};
use buildbtw_tests::runner::{QUICK, SILENT, Settings, leftovers};
use buildbtw_tests::{
    Forge, Runner, Server, cli, eventually, is_root, pacman_upgrades, printed, public_folder,
};
use nix::sys::signal::{Signal, kill};
use tokio::runtime::Runtime;

const SRCINFO: &str =
    "pkgbase = hello\n\tpkgver = 1\n\tpkgrel = 1\n\tarch = x86_64\n\npkgname = hello\n";

/// Waits until the job of this number (the first is 1) builds.
fn building(forge: &Forge, runtime: &Runtime, number: usize) -> JobView {
    let job = eventually("another job", || {
        forge.jobs("hello").into_iter().nth(number - 1)
    });
    runtime
        .block_on(forge.gitlab.printed(job.id, "simulating"))
        .unwrap();
    job
}

#[test]
fn build_survives_death_of_runner_and_executor() {
    if !is_root() {
        return;
    }
    let folder = public_folder();
    let forge = Forge::that_builds(folder.path());
    forge.push("hello", SRCINFO, "#\n");
    let mut server = Server::start_with_gitlab(folder.path(), &forge);
    server.wait_until_logged("finished a full resync");
    forge.hook(&server.url());
    let runtime = Runtime::new().unwrap();
    let silent = Settings {
        executor: SILENT,
        ..Settings::default()
    };
    let output = cli(&server, &["new", "hello/main", "--name", "hello"]);
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));

    // The runner: no process is notified, and only its stages clean up.
    let runner = Runner::start(&forge, &server, folder.path(), silent);
    building(&forge, &runtime, 1);
    let state = runner.kill_hard();
    eventually("the end of the job", || {
        leftovers(&state).is_empty().then_some(())
    });

    // The front, and the root side.
    let runner = Runner::start(&forge, &server, folder.path(), silent);
    let job = building(&forge, &runtime, 2);
    kill(runner.front(job.id.0).unwrap(), Signal::SIGKILL).unwrap();
    let job = building(&forge, &runtime, 3);
    kill(runner.root_side(job.id.0).unwrap(), Signal::SIGKILL).unwrap();

    // The runner is stopped: it reports to GitLab, and has its jobs cleaned up.
    building(&forge, &runtime, 4);
    runner.signal(Signal::SIGTERM);
    let Runner { process, .. } = runner;
    process.wait();
    assert!(leftovers(&state).is_empty(), "{:?}", leftovers(&state));

    // The runner stops after its running job.
    let slow = QUICK.replace("= 0 }", "= 2 }");
    let slow = Settings {
        executor: &slow,
        ..Settings::default()
    };
    let runner = Runner::start(&forge, &server, folder.path(), slow);
    building(&forge, &runtime, 5);
    runner.signal(Signal::SIGQUIT);
    let Runner { process, .. } = runner;
    process.wait();
    let name = "hello".parse().unwrap();
    let client = server.client();
    let build = eventually("the packages", || {
        let iteration = runtime.block_on(client.iteration(&name, None)).unwrap();
        let build = iteration.builds.into_iter().next().unwrap();
        (build.status == BuildStatus::Built).then_some(build)
    });
    assert!(leftovers(&state).is_empty(), "{:?}", leftovers(&state));

    let attempts = runtime.block_on(client.build(build.id)).unwrap().attempts;
    assert_eq!(attempts.len(), 5);
    let lost = attempts.iter().find(|attempt| attempt.number == 1).unwrap();
    assert_eq!(lost.failure, Some(FailureKind::Infrastructure), "{lost:?}");
    let message = lost.message.as_deref().unwrap();
    assert!(message.contains("runner"), "{message}");
    let last = attempts.iter().find(|attempt| attempt.number == 5).unwrap();
    assert_eq!(last.status, AttemptStatus::Succeeded);
    let output = cli(&server, &["watch", "hello"]);
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    pacman_upgrades(folder.path(), &server, "hello");
}
