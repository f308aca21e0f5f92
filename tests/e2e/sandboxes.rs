//! `buildbtw sandbox` and `buildbtw build --shell`, as a person runs them.

use std::path::Path;
use std::process::Command;

use buildbtw_tests::{is_root, on_terminal, printed, program};

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

/// Prints the number of the terminal that is standard input.
const TERMINAL: &str = "echo terminal $(stat -Lc %t:%T /proc/self/fd/0)";

/// Returns the numbers of terminals that were printed.
fn terminals(seen: &str) -> Vec<&str> {
    let lines = seen.lines().map(str::trim);
    lines
        .filter_map(|line| line.strip_prefix("terminal "))
        .collect()
}

/// Returns a command that runs another, and prints the mode of the terminal before it exits with the same code.
fn then_mode(command: &Command) -> Command {
    let mut both = Command::new("bash");
    let script = format!("\"$@\"; code=$?; stty -a; {TERMINAL}; exit $code");
    both.args(["-c", &script, "bash"]);
    both.arg(command.get_program()).args(command.get_args());
    both
}

/// Checks that the terminal waits for lines and echoes them.
fn expect_mode_restored(seen: &str) {
    assert!(seen.contains(" icanon"), "{seen}");
    for mode in ["-icanon", "-isig", "-echo "] {
        assert!(!seen.contains(mode), "{mode}: {seen}");
    }
}

#[test]
fn command_in_a_sandbox_uses_the_terminal() {
    if !is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let script = format!("{TERMINAL}; stty size; test -t 0 && read line; echo got=$line; exit 5");
    let command = then_mode(&sandbox(folder.path(), &["bash", "-c", &script]));
    let (code, seen) = on_terminal(&command, &[("24 80", "typed\r")]);
    assert_eq!(code, Some(5), "{seen}");
    assert!(seen.contains("got=typed\r\n"), "{seen}");
    expect_mode_restored(&seen);
    let [inside, outside] = terminals(&seen)[..] else {
        panic!("{seen}");
    };
    assert_ne!(inside, outside, "the sandbox could enter commands");

    // An interrupt is one of the command, not of the client.
    let script = "trap 'echo caught; exit 6' INT; echo ready; while :; do sleep 0.1; done";
    let command = sandbox(folder.path(), &["bash", "-c", script]);
    let (code, seen) = on_terminal(&command, &[("ready", "\x03")]);
    assert_eq!(code, Some(6), "{seen}");
    assert!(seen.contains("caught"), "{seen}");
}

#[test]
fn failed_build_opens_a_shell_in_its_root() {
    if !is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("broken");
    std::fs::create_dir(&source).unwrap();
    let head = "pkgver=1\npkgrel=1\narch=(x86_64)\n";
    let functions = "build() { echo begun >note; false; }\npackage() { :; }\n";
    let pkgbuild = format!("pkgname=broken\n{head}{functions}");
    std::fs::write(source.join("PKGBUILD"), pkgbuild).unwrap();
    let srcinfo =
        "pkgbase = broken\n\tpkgver = 1\n\tpkgrel = 1\n\tarch = x86_64\n\npkgname = broken\n";
    std::fs::write(source.join(".SRCINFO"), srcinfo).unwrap();
    let build = |more: &[&str]| {
        let mut build = Command::new(program("buildbtw"));
        build.arg("build").arg(&source).args(["--arch", "x86_64"]);
        build.arg("--output").arg(folder.path().join("out"));
        build.args(more);
        build
    };
    let without = build(&[]).output().unwrap();
    assert_eq!(without.status.code(), Some(1), "{}", printed(&without));
    let refused = build(&["--shell"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(3), "{}", printed(&refused));
    assert!(printed(&refused).contains("a shell needs a terminal"));

    let command = then_mode(&build(&["--shell"]));
    let typed = [("exit` leaves it", "echo in=$PWD; cat note; exit 4\r")];
    let (code, seen) = on_terminal(&command, &typed);
    assert_eq!(code, Some(1), "{seen}");
    assert!(seen.contains("in=/build/broken/src\r\nbegun\r\n"), "{seen}");
    assert!(seen.contains("the build failed (package)"), "{seen}");
    expect_mode_restored(&seen);
}
