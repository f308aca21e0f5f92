//! Builds as GitLab pipelines: a push becomes packages through runner and executor.

use buildbtw_fake_gitlab::Status;
use buildbtw_model::{BuildStatus, IterationStatus};
use buildbtw_tests::{
    Forge, Runner, Server, cli, eventually, is_root, pacman_installs, pacman_upgrades, printed,
    public_folder,
};

fn srcinfo(name: &str, version: &str, needs: &[&str]) -> String {
    let depends: String = needs
        .iter()
        .map(|need| format!("\tdepends = {need}\n"))
        .collect();
    format!(
        "pkgbase = {name}\n\tpkgver = {version}\n\tpkgrel = 1\n\tarch = x86_64\n{depends}\n\
         pkgname = {name}\n"
    )
}

/// Returns a package that searches for the secrets of a job, and prints those it finds.
fn pkgbuild(name: &str, version: &str, needs: &[&str], broken: bool) -> String {
    let build = if broken { "false" } else { "true" };
    format!(
        r#"pkgname={name}
pkgver={version}
pkgrel=1
arch=(x86_64)
depends=({needs})
build() {{
  env | grep -E '^(CI|BUILDBTW|CUSTOM_ENV)' && echo FOUND in the environment
  grep -rlIs --exclude-dir=proc --exclude-dir=sys --exclude-dir=dev 'bbtw[_]' \
    /etc /build /tmp /run /home /root /var /opt /srv /mnt && echo FOUND in a file
  echo built {name} {version}
  {build}
}}
package() {{ install -Dm644 /dev/null "$pkgdir/usr/share/{name}"; }}
"#,
        needs = needs.join(" ")
    )
}

fn push(forge: &Forge, name: &str, version: &str, needs: &[&str], broken: bool) {
    let (text, script) = (
        srcinfo(name, version, needs),
        pkgbuild(name, version, needs, broken),
    );
    forge.push(name, &text, &script);
}

#[test]
fn push_becomes_packages_through_runner_and_executor() {
    if !is_root() {
        return;
    }
    let folder = public_folder();
    let forge = Forge::that_builds(folder.path());
    push(&forge, "libhello", "1", &[], false);
    push(&forge, "hello", "1", &["libhello"], false);
    let mut server = Server::start_with_gitlab(folder.path(), &forge);
    server.wait_until_logged("finished a full resync");
    forge.hook(&server.url());
    let runner = Runner::sandboxed(&forge, &server, folder.path());
    let output = cli(
        &server,
        &["new", "libhello/main", "--name", "hello", "--follow"],
    );
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));

    let name = "hello".parse().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let iteration = runtime
        .block_on(server.client().iteration(&name, None))
        .unwrap();
    assert_eq!(iteration.summary.status, IterationStatus::Done);
    let all_built = |status| status == BuildStatus::Built;
    assert!(iteration.builds.iter().all(|build| all_built(build.status)));
    pacman_installs(folder.path(), &server, "hello", &["hello"]);
    pacman_upgrades(folder.path(), &server, "hello");

    // The job's log contains the server's log, and neither contains secrets.
    let job = forge.jobs("hello").remove(0);
    runtime
        .block_on(
            forge
                .gitlab
                .job_until(job.id, |job| job.status == Status::Success),
        )
        .unwrap();
    let trace = forge.log(job.id);
    let log = cli(&server, &["logs", "hello", "hello"]);
    let log = String::from_utf8_lossy(&log.stdout).into_owned();
    for text in [&trace, &log] {
        assert!(text.contains("built hello 1"), "{text}");
        assert!(!text.contains("FOUND"), "{text}");
        assert!(!text.contains("bbtw_"), "{text}");
        assert!(!text.contains(&forge.worker_token), "{text}");
    }
    assert!(trace.contains("section_start:"), "{trace}");
    // The packages are small enough to be artifacts, too.
    let artifacts = forge.gitlab.job_artifacts(job.id).expect("artifacts");
    assert!(artifacts.data.len() > 100);
    // GitLab may learn of the end of a job before its runner has cleaned up.
    eventually("nothing is left", || {
        runner.leftovers().is_empty().then_some(())
    });
}

#[test]
fn broken_package_fails_its_job_with_reason() {
    if !is_root() {
        return;
    }
    let folder = public_folder();
    let forge = Forge::that_builds(folder.path());
    push(&forge, "hello", "1", &[], true);
    let mut server = Server::start_with_gitlab(folder.path(), &forge);
    server.wait_until_logged("finished a full resync");
    forge.hook(&server.url());
    let _runner = Runner::sandboxed(&forge, &server, folder.path());
    let output = cli(
        &server,
        &["new", "hello/main", "--name", "hello", "--follow"],
    );
    assert_eq!(output.status.code(), Some(1), "{}", printed(&output));
    let job = forge.jobs("hello").remove(0);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let job = runtime
        .block_on(
            forge
                .gitlab
                .job_until(job.id, |job| job.status.is_complete()),
        )
        .unwrap();
    assert_eq!(job.status, Status::Failed);
    assert_eq!(job.failure_reason.as_deref(), Some("script_failure"));
    let trace = forge.log(job.id);
    assert!(trace.contains("A failure occurred in build()"), "{trace}");
    assert_eq!(
        forge.jobs("hello").len(),
        1,
        "a broken package is not retried"
    );
}
