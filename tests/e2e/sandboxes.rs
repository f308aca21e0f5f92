//! `buildbtw sandbox`, as a person runs it.

use std::path::Path;
use std::process::Command;

use buildbtw_tests::{is_root, printed, program};

/// Returns a command in the kept root `root` of a folder.
fn sandbox(folder: &Path, command: &[&str]) -> Command {
    let mut sandbox = Command::new(program("buildbtw"));
    sandbox.args(["sandbox", "--dir"]).arg(folder.join("root"));
    sandbox.arg("--").args(command);
    sandbox
}

#[test]
fn sandbox_exits_with_the_code_of_its_command() {
    if !is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for (script, code) in [
        ("exit 0", 0),
        ("exit 7", 7),
        ("kill -TERM $$", 128 + 15),
        ("kill -KILL $$", 128 + 9),
    ] {
        let output = sandbox(folder.path(), &["bash", "-c", script])
            .output()
            .unwrap();
        assert_eq!(
            output.status.code(),
            Some(code),
            "{script}: {}",
            printed(&output)
        );
    }
}
