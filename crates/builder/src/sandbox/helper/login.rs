//! Checks whether the login shell of the build user starts: files that packages put into `/etc/profile.d` can
//! keep makepkg from starting.

use std::path::Path;
use std::time::{Duration, Instant};

use super::bwrap::{Sandboxed, View};
use super::headings::heading;
use super::login_shell::ENVIRONMENT;
use super::root::Root;
use super::run::exit_code;
use super::skeleton::PROFILE;
use crate::failure::Failure;
use crate::source::read_regular;
use crate::sys::Identity;

/// Sources the files of a login shell, and records the progress.
const READING: &str = include_str!("login.bash");
/// The file with the progress, in the folder for notes.
const NOTE: &str = "login";
const MAX_NOTE_BYTES: u64 = 1 << 14;
const MAX_PROFILE_BYTES: u64 = 1 << 16;
/// The time limit for reading: a share of the silence limit, within these bounds.
const SHARE_OF_SILENCE: u32 = 10;
const MIN_WAIT: Duration = Duration::from_secs(1);
const MAX_WAIT: Duration = Duration::from_secs(60);

/// Checks that the files of a login shell end, and do not exit the shell. `command` is a command to be
/// started from it, and `notes` the folder that it sees as the folder for notes.
pub(super) fn check(
    root: &Root,
    command: Sandboxed<'_>,
    notes: &Path,
    silence: Duration,
) -> Result<(), Failure> {
    if is_plain(root) {
        return Ok(());
    }
    heading("reading /etc/profile and /etc/profile.d");
    let limit = (silence / SHARE_OF_SILENCE).clamp(MIN_WAIT, MAX_WAIT);
    let mut command = command.login(false);
    for (name, value) in ENVIRONMENT {
        command = command.env(name, *value);
    }
    let status = command.run_until(&["bash", "-c", READING, "-bash"], Instant::now() + limit)?;
    let note = read_regular(&notes.join(NOTE), MAX_NOTE_BYTES).unwrap_or_default();
    let note = Note::parse(&String::from_utf8_lossy(&note));
    let problem = match status {
        Some(_) if note.is_done => return Ok(()),
        Some(status) => Problem::Ended(exit_code(status)),
        None => Problem::TimedOut(limit),
    };
    let Some(file) = &note.file else {
        return Err(not_started());
    };
    let errexit = note.sets_errexit.as_ref().filter(|other| *other != file);
    let errexit = errexit.map(|other| with_package(root, other)).transpose()?;
    Err(broken_profile(
        &with_package(root, file)?,
        &problem,
        errexit.as_deref(),
    ))
}

/// Returns the failure for a file that keeps the login shell from starting. `errexit` is the file that made
/// failures end the shell.
fn broken_profile(file: &str, problem: &Problem, errexit: Option<&str>) -> Failure {
    let mut message = format!("{file} {problem}");
    if let Some(other) = errexit {
        message.push_str(&format!(
            "; {other} has `set -e`, which ends the shell at any failure"
        ));
    }
    Failure::package(message)
        .hint("fix this file in its package: makepkg is started from a login shell, which reads it")
}

/// Returns the failure for a login shell that read no file.
fn not_started() -> Failure {
    Failure::infrastructure("the login shell could not be started").see_log()
}

/// Why the login shell did not start.
#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error("ended the login shell with exit code {0}")]
    Ended(i32),
    #[error("did not finish within {} s", .0.as_secs())]
    TimedOut(Duration),
}

/// Returns whether there are only the files that are written for every root.
fn is_plain(root: &Root) -> bool {
    let etc = root.path.join("etc");
    let is_dir = |path: &Path| fs_err::symlink_metadata(path).is_ok_and(|found| found.is_dir());
    let profiles = etc.join("profile.d");
    if !is_dir(&etc) || !is_dir(&profiles) {
        return false;
    }
    let is_profile = |entry: std::io::Result<fs_err::DirEntry>| {
        entry.map_or(true, |entry| {
            entry.path().extension().is_some_and(|end| end == "sh")
        })
    };
    let has_profiles = fs_err::read_dir(profiles).map_or(true, |mut all| all.any(is_profile));
    let own = read_regular(&etc.join("profile"), MAX_PROFILE_BYTES);
    !has_profiles && own.is_ok_and(|text| text == PROFILE.as_bytes())
}

/// Returns a file name with the package that owns the file.
fn with_package(root: &Root, file: &str) -> Result<String, Failure> {
    let output = Sandboxed::new(View::ReadOnly(root), Identity::Root)
        .output(&["pacman", "-Qqo", "--", file])?;
    let owner = String::from_utf8_lossy(&output.stdout);
    Ok(match owner.lines().next() {
        Some(owner) if output.status.success() => format!("{file} of {owner}"),
        _ => file.to_owned(),
    })
}

/// The progress of reading. Files of packages can write it too, but can only blame each other.
#[derive(Debug, Default, PartialEq, Eq)]
struct Note {
    is_done: bool,
    /// The file that was read last.
    file: Option<String>,
    /// The file that made failures end the shell.
    sets_errexit: Option<String>,
}

impl Note {
    fn parse(text: &str) -> Self {
        let file = |line: &str| {
            let mut file = line.to_owned();
            file.retain(|c| !c.is_control());
            Some(file).filter(|file| file.starts_with('/'))
        };
        let mut lines = text.lines();
        let first = lines.next().unwrap_or_default();
        Self {
            is_done: first == "done",
            file: file(first),
            sets_errexit: lines.next().and_then(file),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_match_snapshot() {
        let file = "/etc/profile.d/perlbin.sh of perl";
        let other = Some("/etc/profile.d/strict.sh of strict");
        let ended = Problem::Ended(3);
        let text = crate::failure::recorded([
            ("exit", broken_profile(file, &ended, None)),
            ("exit after set -e", broken_profile(file, &ended, other)),
            (
                "endless file",
                broken_profile(file, &Problem::TimedOut(MAX_WAIT), None),
            ),
            ("no shell", not_started()),
        ]);
        insta::assert_snapshot!(text);
    }

    #[test]
    fn reads_progress_of_the_login_shell() {
        assert!(Note::parse("done\n").is_done);
        assert_eq!(Note::parse(""), Note::default());
        let note = Note::parse("/etc/profile.d/b\x1b.sh\n/etc/profile.d/a.sh\n");
        assert_eq!(note.file.as_deref(), Some("/etc/profile.d/b.sh"));
        assert_eq!(note.sets_errexit.as_deref(), Some("/etc/profile.d/a.sh"));
    }
}
