//! `backup` and `restore` as programs: pipes, exit codes, and a server that keeps running.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use buildbtw_tests::{Server, Sources, Worker, cli, eventually, pacman_upgrades, printed, program};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

fn server_program(data: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program("buildbtw-server"));
    command.arg(arguments[0]).arg("--data-dir").arg(data);
    command.args(&arguments[1..]).env("NO_COLOR", "1");
    command
}

fn expect_success(output: &Output) {
    assert_eq!(output.status.code(), Some(0), "{}", printed(output));
}

#[test]
fn restores_what_was_piped_from_a_running_server() {
    let folder = tempfile::tempdir().unwrap();
    let sources = Sources::with_a_library(folder.path());
    let server = Server::start(folder.path(), &sources);
    let _worker = Worker::simulated(&server, &folder.path().join("scratch"), 2, "0");
    let created = cli(
        &server,
        &["new", "libfoo/main", "--name", "foo", "--follow"],
    );
    expect_success(&created);
    pacman_upgrades(folder.path(), &server, "foo");

    let tar = folder.path().join("backup.tar");
    let mut backup = server_program(server.data(), &["backup", "-"]);
    backup.stdout(std::fs::File::create(&tar).unwrap());
    expect_success(&backup.output().unwrap());
    let restored = folder.path().join("restored");
    let mut restore = server_program(&restored, &["restore", "-"]);
    restore.stdin(std::fs::File::open(&tar).unwrap());
    let output = restore.output().unwrap();
    expect_success(&output);
    assert!(
        printed(&output).contains("no problems found"),
        "{}",
        printed(&output)
    );
    let mut check = server_program(&restored, &["check", "--digests"]);
    expect_success(&check.output().unwrap());

    // The reader has gone: the backup fails, and leaves nothing.
    let mut backup = server_program(server.data(), &["backup", "-"]);
    let mut closed = backup
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(closed.stdout.take());
    let output = closed.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", printed(&output));
    assert!(
        printed(&output).contains("cannot write the archive: Broken pipe"),
        "{}",
        printed(&output)
    );
    let staged = || count(&server.data().join("backup"));
    assert_eq!(staged(), 0);
    let mut backup = server_program(server.data(), &["backup", "-"]);
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full");
    let output = backup.stdout(full.unwrap()).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", printed(&output));
    let text = printed(&output);
    assert!(
        text.contains("cannot write the archive: No space left on device"),
        "{text}"
    );
    assert!(text.contains("hint: free space there"), "{text}");
    assert_eq!(staged(), 0);
}

fn count(folder: &Path) -> usize {
    std::fs::read_dir(folder).map_or(0, Iterator::count)
}

#[test]
fn removes_what_an_interrupted_or_killed_backup_has_written() {
    let folder = tempfile::tempdir().unwrap();
    let sources = Sources::with_a_library(folder.path());
    let server = Server::start(folder.path(), &sources);
    let backups = folder.path().join("backups");
    std::fs::create_dir(&backups).unwrap();
    let target = backups.join("first").display().to_string();
    let collected = server.data().join("backup");
    // Backups wait for the end of removals.
    let removals = std::fs::File::open(server.data().join("trash")).unwrap();
    removals.lock_shared().unwrap();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGKILL] {
        let mut backup = server_program(server.data(), &["backup", &target]);
        let backup = backup.stderr(Stdio::piped()).spawn().unwrap();
        eventually("the backup has begun", || {
            (count(&backups) == 1 && count(&collected) == 1).then_some(())
        });
        kill(Pid::from_raw(backup.id().cast_signed()), signal).unwrap();
        let output = backup.wait_with_output().unwrap();
        if signal != Signal::SIGKILL {
            assert_eq!(output.status.code(), Some(1), "{}", printed(&output));
            let text = printed(&output);
            assert!(text.contains("the backup was interrupted"), "{text}");
            assert_eq!((count(&backups), count(&collected)), (0, 0));
        }
    }
    assert_eq!(count(&backups), 1);
    removals.unlock().unwrap();
    let mut backup = server_program(server.data(), &["backup", &target]);
    expect_success(&backup.output().unwrap());
    let left = std::fs::read_dir(&backups).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["first"]);
}
