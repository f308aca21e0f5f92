//! The programs of this workspace.

use std::path::{Path, PathBuf};
use std::process::Output;

/// Returns the path of a program of this workspace, compiled by `cargo build --workspace --bins`.
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

/// Formats the output of a program for messages of assertions.
pub fn printed(output: &Output) -> String {
    format!(
        "exit {:?}\n--- stdout\n{}\n--- stderr\n{}",
        output.status.code(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}
