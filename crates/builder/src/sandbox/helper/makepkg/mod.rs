//! The build itself.

mod ended;
mod stage;

use std::path::{Path, PathBuf};

use self::ended::{Circumstances, Ended};
use self::stage::Stage;
use super::bwrap::{BUILD_USER, Sandboxed, View, exit_code};
use super::heading;
use super::root::Root;
use crate::sandbox::job::{BuildTask, Failure};
use crate::source::read_regular;
use crate::sys::Identity;

/// Notes how makepkg ends; see there.
const HOOK: &str = include_str!("hook.bash");
/// Where makepkg's shell finds it.
const HOOK_PATH: &str = "/run/buildbtw/hook.bash";
/// Programs that makepkg needs whatever the package: a root without them is the machine's fault.
const OWN_PROGRAMS: &[&str] = &[
    "bsdtar",
    "fakeroot",
    "gzip",
    "pacman",
    "sha256sum",
    "strip",
    "zstd",
];
/// What the hook writes is a few lines.
const LARGEST_NOTE: u64 = 1 << 16;

/// A command as the unprivileged user, without network, with the settings that makepkg reads.
/// `build` becomes `/build`, and `tmp` becomes `/tmp`.
pub(super) fn command<'a>(
    root: &'a Root,
    build: &Path,
    tmp: PathBuf,
    task: &BuildTask,
) -> Sandboxed<'a> {
    Sandboxed::new(View::ReadOnly(root), Identity::User(BUILD_USER))
        .bind(build.to_owned(), "/build", true)
        .bind(tmp.clone(), "/tmp", true)
        .bind(tmp, "/var/tmp", true)
        .folder("/build/tree")
        .env("HOME", "/build/home")
        .env("USER", "build")
        .env("BUILDDIR", "/build/work")
        .env("PKGDEST", "/build/packages")
        .env("SRCDEST", "/build/sources")
        .env("PKGEXT", ".pkg.tar.zst")
        .env("CARCH", task.request.architecture.as_str())
        .env("MAKEFLAGS", format!("-j{}", task.jobs))
        // An id that the namespace does not map gives EINVAL, and fakeroot forgives EPERM only.
        .env("FAKEROOTDONTTRYCHOWN", "1")
}

/// Runs makepkg without network, as the unprivileged user.
pub(super) fn run(root: &Root, build: &Path, task: &BuildTask) -> Result<(), Failure> {
    heading(&format!("building {}", task.request.pkgbase));
    let hook = root.scratch.join("hook.bash");
    fs_err::write(&hook, HOOK)?;
    let temporary = root.scratch_dir("tmp", BUILD_USER, 0o1777)?;
    let plain = || command(root, build, temporary.clone(), task);
    let mut command = plain().bind(hook, HOOK_PATH, false);
    if let Some(epoch) = task.request.source_date_epoch {
        command = command.env("SOURCE_DATE_EPOCH", epoch.to_string());
    }
    if let Some(packager) = &task.request.packager {
        command = command.env("PACKAGER", packager.clone());
    }
    if task.request.bootstrap {
        command = command.env("BUILDBTW_BOOTSTRAP", "1");
    }
    // Tells a failure of makepkg from one to start it.
    let started = build.join("started");
    let script = format!(": >/build/started && BASH_ENV={HOOK_PATH} exec makepkg \"$@\"");
    // Signatures need keys that only the packager has; checksums are checked.
    let options = ["--noconfirm", "--nocolor", "--skippgpcheck"];
    let mut stage = Stage::default();
    let status = command.watch(
        &[&["bash", "-c", &script, "makepkg"], &options[..]].concat(),
        |line| stage.line(line),
    )?;
    if !status.success() && fs_err::symlink_metadata(&started).is_err() {
        return Err(Failure::infrastructure("the sandbox could not start makepkg").see_log());
    }
    let note = read_regular(&build.join("ended"), LARGEST_NOTE).unwrap_or_default();
    let circumstances = Circumstances {
        code: exit_code(status),
        ended: Ended::parse(&String::from_utf8_lossy(&note)),
        lacks_git: lacks_git(root, task),
        lacks_own_program: lacks_own_program(root, &stage),
        is_bootstrap: task.request.bootstrap,
        stage,
    };
    let Some(failure) = circumstances.failure() else {
        return Ok(());
    };
    if circumstances.is_unreadable() {
        let why = why_unreadable(&plain())?
            .unwrap_or_else(|| "the last command of its top level failed".to_owned());
        return Err(Failure::package(format!("the PKGBUILD could not be read: {why}")).see_log());
    }
    Err(failure.see_log())
}

/// What bash says about the syntax of the PKGBUILD: `line 7: syntax error …`.
pub(super) fn why_unreadable(command: &Sandboxed<'_>) -> Result<Option<String>, Failure> {
    let script = "bash -n PKGBUILD 2>&1";
    let (_, text) = command.output_within(&["bash", "-c", script], LARGEST_NOTE)?;
    let text = String::from_utf8_lossy(&text);
    let mut lines = text.lines();
    Ok(lines
        .find_map(|line| line.strip_prefix("PKGBUILD: "))
        .map(str::to_owned))
}

/// Whether there are sources from git, and no git that could unpack them.
fn lacks_git(root: &Root, task: &BuildTask) -> bool {
    let is_git = |source: &String| {
        let address = source.split_once("::").map_or(&**source, |(_, rest)| rest);
        address.starts_with("git+") || address.starts_with("git://")
    };
    task.request.sources.iter().any(is_git)
        && fs_err::symlink_metadata(root.path.join("usr/bin/git")).is_err()
}

/// Whether makepkg missed one of its own programs that the root does not have. A PKGBUILD that changes
/// PATH hides those that are there.
fn lacks_own_program(root: &Root, stage: &Stage) -> bool {
    let is_absent = |program: &String| {
        OWN_PROGRAMS.contains(&&**program)
            && fs_err::symlink_metadata(root.path.join("usr/bin").join(program)).is_err()
    };
    stage.missing().iter().any(is_absent)
}
