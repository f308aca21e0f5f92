//! Capabilities of the machine that runs the tests.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// Returns whether a program is installed. If not, prints what the test omits.
pub fn has_tool(name: &str) -> bool {
    let found = std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(name).is_file()));
    if !found {
        eprintln!("SKIPPED: {name} is not installed (./bootstrap installs it)");
    }
    found
}

/// Returns whether mounts and sandboxes are possible. If not, prints that a test is skipped.
pub fn is_root() -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        eprintln!("SKIPPED: mounts and the sandbox need root");
    }
    root
}

/// Creates a folder for a test whose programs run as several users, each of whom can enter it: `TMPDIR` may be private,
/// as in a home folder.
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
        .expect("no temporary folder is accessible to every user");
    let folder = tempfile::tempdir_in(parent).unwrap();
    std::fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
    folder
}
