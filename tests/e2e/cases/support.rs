//! Runs cases: `buildbtw build` on an input, or a server and a worker that build it.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;

use buildbtw_model::api::{AttemptSummary, IterationDetail};
use buildbtw_model::{BuildStatus, Explanation, FailureKind};
use buildbtw_tests::{Server, cli, has_tool, is_root, pacman_upgrades, printed, program};
use nix::sched::{CloneFlags, unshare};

/// Arguments with which workers and `buildbtw build` reach sources on this machine.
pub(super) const LOOPBACK: [&str; 2] = ["--allow-source-network", "127.0.0.0/8"];

/// Returns the path of an input.
pub(super) fn input(path: &str) -> PathBuf {
    let input = inputs().join(path);
    assert!(input.exists(), "{} is missing", input.display());
    input
}

/// Returns the folder of the inputs.
pub(super) fn inputs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("cases")
}

/// Returns whether packages can be built here. Prints a message if a case is skipped.
pub(super) fn can_build() -> bool {
    let tools = [
        "pacman", "makepkg", "repo-add", "bwrap", "bsdtar", "pasta", "python3",
    ];
    is_root() && tools.iter().all(|tool| has_tool(tool))
}

/// Runs a test, and every program that it starts, in a separate network with only a loopback
/// interface: inputs name ports, and other tests run concurrently.
pub(super) fn in_own_network(test: impl FnOnce() + Send + 'static) {
    // The name appears in panics.
    let name = thread::current().name().map(str::to_owned);
    let thread = thread::Builder::new().name(name.unwrap_or_default());
    let thread = thread.spawn(move || {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        let up = ["link", "set", "lo", "up"];
        assert!(Command::new("ip").args(up).status().unwrap().success());
        test();
    });
    if let Err(panic) = thread.unwrap().join() {
        std::panic::resume_unwind(panic);
    }
}

/// Serves one response for every request on a port of this machine, as long as the test runs.
pub(super) fn serve(port: u16, status: &str, body: &str) {
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let length = body.len();
    let response =
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 1024];
            // Clients may disconnect at any time.
            let _ = stream.read(&mut request);
            let _ = stream.write_all(response.as_bytes());
        }
    });
}

/// Runs `buildbtw build` on an input for x86_64, with more arguments. Packages go to `out` below the folder.
pub(super) fn build(folder: &Path, path: &str, more: &[&str]) -> Output {
    Command::new(program("buildbtw"))
        .args(["build", "--arch", "x86_64", "--output"])
        .arg(folder.join("out"))
        .args(more)
        .arg(input(path))
        .output()
        .unwrap()
}

/// Runs a build that must succeed, and returns the packages and all output.
pub(super) fn built(folder: &Path, path: &str, more: &[&str]) -> (Vec<PathBuf>, String) {
    let output = build(folder, path, more);
    let text = printed(&output);
    assert!(output.status.success(), "{text}");
    let packages: Vec<PathBuf> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(PathBuf::from)
        .filter(|path| path.is_absolute() && path.is_file() && file_name(path).contains(".pkg.tar"))
        .collect();
    assert!(!packages.is_empty(), "{text}");
    (packages, text)
}

pub(super) fn file_name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

/// Creates a repository `base` of packages that `buildbtw build` produced, or adds to it. Returns
/// the argument that names it.
pub(super) fn publish(folder: &Path, packages: &[PathBuf]) -> String {
    let repository = folder.join("out");
    let output = Command::new("repo-add")
        .arg("--quiet")
        .arg(repository.join("base.db.tar.gz"))
        .args(packages)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", printed(&output));
    format!("--repository=base=file://{}", repository.display())
}

/// Returns user and group of each file in a package.
pub(super) fn owners(package: &Path) -> BTreeMap<String, (u64, u64)> {
    let file = std::fs::File::open(package).unwrap();
    let mut archive = tar::Archive::new(zstd::Decoder::new(file).unwrap());
    let mut owners = BTreeMap::new();
    for entry in archive.entries().unwrap() {
        let entry = entry.unwrap();
        let path = entry.path().unwrap().display().to_string();
        let owner = (entry.header().uid().unwrap(), entry.header().gid().unwrap());
        owners.insert(path.trim_end_matches('/').to_owned(), owner);
    }
    owners
}

/// Returns whether a log contains this line.
pub(super) fn has_line(text: &str, line: &str) -> bool {
    text.lines().any(|found| found == line)
}

/// Runs `buildbtw new CHANGESETS --follow` with more arguments. Returns its exit code and all output. A finished
/// rebuild has to upgrade a system that has the old packages.
pub(super) fn new(server: &Server, namespace: &str, more: &[&str]) -> (Option<i32>, String) {
    let arguments = [&["new", "--follow", "--name", namespace][..], more].concat();
    let output = cli(server, &arguments);
    if output.status.success() {
        pacman_upgrades(tempfile::tempdir().unwrap().path(), server, namespace);
    }
    (output.status.code(), printed(&output))
}

/// Returns the newest iteration of a namespace.
pub(super) fn iteration(server: &Server, namespace: &str) -> IterationDetail {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let name = namespace.parse().unwrap();
    runtime
        .block_on(server.client().iteration(&name, None))
        .unwrap()
}

/// Returns the message of a build that failed at its only attempt, with the failure kind `package`.
pub(super) fn failed_once(server: &Server, namespace: &str, pkgbase: &str) -> String {
    let detail = iteration(server, namespace);
    let mut builds = detail.builds.iter();
    let build = builds.find(|build| build.pkgbase.as_str() == pkgbase);
    let build = build.unwrap();
    assert_eq!(build.status, BuildStatus::Failed, "{pkgbase}");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let shown = runtime.block_on(server.client().build(build.id)).unwrap();
    let attempts: [AttemptSummary; 1] = shown.attempts.try_into().unwrap();
    let [attempt] = attempts;
    assert_eq!(attempt.failure, Some(FailureKind::Package), "{pkgbase}");
    let explanation = Explanation::of(attempt.message, attempt.hint);
    explanation.unwrap().to_string()
}
