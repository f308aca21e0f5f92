//! Tools of end-to-end tests and benchmarks: the programs of this workspace as processes, and
//! source repositories for them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a failure here is a failed test, and the panic its message"
)]

pub mod crew;
pub mod forge;
mod pacman;
mod processes;
pub mod runner;
mod sources;

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// Longer than any step takes on a busy machine; only a failing test waits that long.
const PATIENCE: Duration = Duration::from_secs(120);

pub use forge::Forge;
pub use pacman::{OldSet, pacman_installs, pacman_upgrades, pacman_upgrades_some};
pub use processes::{Process, Server, Worker};
pub use runner::Runner;
pub use sources::{Package, Sources, git};

/// A program of this workspace, compiled by `cargo build --workspace --bins`.
pub fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    // target/<profile>/deps/e2e-… -> target/<profile>/<name>
    let path = test.parent().and_then(Path::parent).unwrap().join(name);
    assert!(
        path.is_file(),
        "{} is missing: run `cargo build --workspace --bins` first, or `just test`",
        path.display()
    );
    path
}

/// Whether a program of the system is installed. Prints what a test omits without it.
pub fn has_tool(name: &str) -> bool {
    let found = std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(name).is_file()));
    if !found {
        eprintln!("SKIPPED: {name} is not installed (./bootstrap installs it)");
    }
    found
}

/// Whether mounts and sandboxes are possible. Prints that a test is skipped otherwise.
pub fn is_root() -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        eprintln!("SKIPPED: mounts and the sandbox need root");
    }
    root
}

/// A folder for a test whose programs run as several users, each of whom can enter it: `TMPDIR` may
/// be private, as in a home folder.
pub fn public_folder() -> tempfile::TempDir {
    let is_public = |folder: &PathBuf| {
        let is_open = |folder: &Path| {
            let metadata = folder.metadata();
            metadata.is_ok_and(|metadata| metadata.permissions().mode() & 1 == 1)
        };
        folder.ancestors().all(is_open)
    };
    let parent = [std::env::temp_dir(), "/tmp".into(), "/var/tmp".into()]
        .into_iter()
        .find(is_public)
        .expect("a folder for temporary files that every user can enter");
    let folder = tempfile::tempdir_in(parent).unwrap();
    std::fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
    folder
}

/// Waits until a function returns a value.
pub fn eventually<T>(what: &str, look: impl Fn() -> Option<T>) -> T {
    const PAUSE: Duration = Duration::from_millis(20);
    let started = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(
            started.elapsed() < PATIENCE,
            "timed out waiting for: {what}"
        );
        std::thread::sleep(PAUSE);
    }
}

/// Runs the CLI against a server.
pub fn cli(server: &Server, args: &[&str]) -> Output {
    Command::new(program("buildbtw"))
        .args(["--server", &server.url()])
        .args(args)
        .env("BUILDBTW_TOKEN", server.admin_token())
        .env("XDG_CONFIG_HOME", server.data())
        .env("TZ", "UTC")
        .output()
        .unwrap()
}

/// What a program printed, for messages of assertions.
pub fn printed(output: &Output) -> String {
    format!(
        "exit {:?}\n--- stdout\n{}\n--- stderr\n{}",
        output.status.code(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}
