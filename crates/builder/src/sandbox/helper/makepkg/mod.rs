//! Runs makepkg: once or, if something has to happen between `prepare()` and `build()`, twice.

mod exit;
mod first_run;
mod offline;
mod settings;
mod signatures;
mod stage;

use std::path::{Path, PathBuf};

use buildbtw_model::{FailureKind, PackageVersion};

use self::exit::{ExitContext, ExitRecord};
use self::first_run::FirstRun;
use self::offline::Offline;
use self::stage::Stage;
use super::accounts::BUILD_USER;
use super::bwrap::{Sandboxed, View};
use super::headings::heading;
use super::network::Network;
use super::root::Root;
use super::run::exit_code;
use super::unreadable_pkgbuild::unreadable_pkgbuild;
use super::{failures, login};
use crate::failure::Failure;
use crate::sandbox::job::BuildTask;
use crate::source::read_regular;
use crate::sys::Identity;

/// Why a PKGBUILD without a syntax error cannot be read.
const LAST_COMMAND_FAILED: &str = "the last command at its top level failed";
/// Records how makepkg exits; see the comments there.
const HOOK: &str = include_str!("hook.bash");
/// The path at which makepkg's shell finds it.
const HOOK_PATH: &str = "/run/buildbtw/hook.bash";
/// The folder for the records of the hook.
const NOTES_PATH: &str = "/run/buildbtw/notes";
/// Programs that makepkg needs for every package: a root without them is the host's fault.
const OWN_PROGRAMS: &[&str] = &[
    "bsdtar",
    "fakeroot",
    "gzip",
    "pacman",
    "sha256sum",
    "strip",
    "zstd",
];
/// The hook records a few lines.
const MAX_NOTE_BYTES: u64 = 1 << 16;
/// The folder of a build that becomes `/tmp`.
pub(super) const TEMPORARY: &str = "tmp";
/// The folders of a build: their names below its own folder, and their paths in makechrootpkg. The last one
/// is for our own notes.
const FOLDERS: [(&str, &str); 6] = [
    ("work", "/build"),
    ("packages", "/pkgdest"),
    ("sources", "/srcdest"),
    ("source-packages", "/srcpkgdest"),
    ("logs", "/logdest"),
    ("notes", NOTES_PATH),
];

/// Creates the folders of a build below the scratch folder. The caller creates the one with the PKGBUILD,
/// `tree`.
pub(super) fn make_folders(root: &Root, name: &str) -> Result<PathBuf, Failure> {
    let build = root.scratch_dir(name, BUILD_USER, 0o755)?;
    for (folder, _) in FOLDERS {
        root.scratch_dir(&format!("{name}/{folder}"), BUILD_USER, 0o755)?;
    }
    Ok(build)
}

/// Returns the folder for notes about a build.
pub(super) fn notes(build: &Path) -> PathBuf {
    build.join("notes")
}

/// Returns a command that runs as the unprivileged user, with the settings for makepkg and without network.
/// `build` contains the folders of [`make_folders`], and `tmp` becomes `/tmp`.
pub(super) fn command<'a>(
    root: &'a Root,
    build: &Path,
    tmp: PathBuf,
    task: &BuildTask,
) -> Sandboxed<'a> {
    let request = &task.request;
    let mut command = Sandboxed::new(View::ReadOnly(root), Identity::User(BUILD_USER))
        .login(true)
        .folder("/startdir")
        .bind(build.join("tree"), "/startdir", true)
        .bind(tmp.clone(), "/tmp", true)
        .bind(tmp, "/var/tmp", true)
        .env("BUILDDIR", "/build")
        .env("PKGDEST", "/pkgdest")
        .env("SRCDEST", "/srcdest")
        .env("SRCPKGDEST", "/srcpkgdest")
        .env("LOGDEST", "/logdest")
        .env("CARCH", request.architecture.as_str())
        .env("PACKAGER", request.packager.as_str())
        // An unmapped id results in EINVAL, but fakeroot only tolerates EPERM.
        .env("FAKEROOTDONTTRYCHOWN", "1");
    for (name, value) in settings::variables(task) {
        command = command.env(name, value);
    }
    for (folder, inside) in FOLDERS {
        command = command.bind(build.join(folder), inside, true);
    }
    if let Some(extension) = &task.package_extension {
        command = command.env("PKGEXT", extension.as_str());
    }
    match request.source_date_epoch {
        Some(epoch) => command.env("SOURCE_DATE_EPOCH", epoch.to_string()),
        None => command,
    }
}

/// Runs makepkg for one package, as the unprivileged user. Only the first of two runs can have a network.
pub(super) struct Makepkg<'a> {
    root: &'a Root,
    /// The folder that contains those of [`make_folders`].
    build: &'a Path,
    task: &'a BuildTask,
    hook: PathBuf,
    settings: PathBuf,
    temporary: PathBuf,
}

/// The part of the build that one run of makepkg performs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Run {
    /// Everything.
    Whole,
    /// Up to `prepare()` and `pkgver()`.
    Prepare,
    /// The steps after them.
    Build,
}

impl Run {
    fn options(self) -> &'static [&'static str] {
        match self {
            Self::Whole => &[],
            Self::Prepare => &["--nobuild"],
            Self::Build => &["--noextract"],
        }
    }

    /// Changes an infrastructure failure of the second run to a package failure: in the first run, the
    /// machine was able to do the same.
    fn reclassified(self, mut failure: Failure) -> Failure {
        if self == Self::Build && failure.kind == FailureKind::Infrastructure {
            failure.kind = FailureKind::Package;
            failure
                .message
                .push_str("; this worked before prepare() ran");
            return failure.hint(
                "check what prepare() leaves behind: makepkg could not start again after it",
            );
        }
        failure
    }

    /// Returns the folder for the notes about the run. Each run has its own, because the package's code can
    /// write to it.
    fn notes(self) -> &'static str {
        match self {
            Self::Whole => "notes-whole",
            Self::Prepare => "notes-prepare",
            Self::Build => "notes-build",
        }
    }
}

impl<'a> Makepkg<'a> {
    /// Writes the files that every run needs.
    pub(super) fn new(
        root: &'a Root,
        build: &'a Path,
        task: &'a BuildTask,
    ) -> Result<Self, Failure> {
        let hook = root.scratch.join("hook.bash");
        fs_err::write(&hook, HOOK)?;
        let settings = root.scratch.join("makepkg.conf");
        fs_err::write(&settings, settings::text(task))?;
        Ok(Self {
            root,
            build,
            task,
            hook,
            settings,
            temporary: root.scratch_dir(TEMPORARY, BUILD_USER, 0o1777)?,
        })
    }

    /// Checks that makepkg can be started from a login shell, after all packages are installed.
    pub(super) fn check_login(&self) -> Result<(), Failure> {
        let silence = self.task.request.limits.silence;
        login::check(self.root, self.command(), &notes(self.build), silence)
    }

    /// Builds the package in one run.
    pub(super) fn run_once(&self) -> Result<(), Failure> {
        heading(&format!("building {}", self.task.request.pkgbase));
        self.run(Run::Whole, self.command(), None).map(drop)
    }

    /// Performs the first of two runs: unpacks the sources and runs `prepare()` and `pkgver()`, with a
    /// network if there is one.
    pub(super) fn prepare(&self, network: Option<&Network>) -> Result<FirstRun, Failure> {
        heading(&format!("preparing {}", self.task.request.pkgbase));
        // The annotation shortens the lifetime to that of both borrows.
        let command: Sandboxed<'_> = self.command();
        let notes = match network {
            None => self.run(Run::Prepare, command, None)?,
            Some(network) => {
                heading("prepare() and pkgver() have a network");
                self.run(Run::Prepare, command.through(network), None)
                    .map_err(|failure| network.explain(failure))?
            }
        };
        Ok(FirstRun::read(&notes))
    }

    /// Performs the second run: `pkgver()` again, `build()`, `check()` and the packages, with the state of
    /// the first run. makepkg resets the release if `pkgver()` prints another version.
    pub(super) fn build(
        &self,
        version: Option<&PackageVersion>,
        first: &FirstRun,
    ) -> Result<(), Failure> {
        // Files of dependencies may read what the first run left in the home folder.
        self.check_login()?;
        heading(&format!("building {}", self.task.request.pkgbase));
        let folder = first.write(self.root)?;
        let command = self.command().bind(folder, first_run::PATH, false);
        self.run(Run::Build, command, version).map(drop)
    }

    fn command(&self) -> Sandboxed<'a> {
        let command = command(self.root, self.build, self.temporary.clone(), self.task);
        // Only here: the `.SRCINFO` was written without the variable, so it is also compared without it.
        match self.task.request.bootstrap {
            true => command.env("BUILDBTW_BOOTSTRAP", "1"),
            false => command,
        }
    }

    /// Runs makepkg, and returns the folder with the notes about it.
    fn run(
        &self,
        run: Run,
        command: Sandboxed<'_>,
        version: Option<&PackageVersion>,
    ) -> Result<PathBuf, Failure> {
        let is_online = command.has_network();
        let notes = self.root.scratch_dir(run.notes(), BUILD_USER, 0o755)?;
        let command = command
            .bind(self.hook.clone(), HOOK_PATH, false)
            .bind(self.settings.clone(), settings::PATH, false)
            .bind(notes.clone(), NOTES_PATH, true);
        // Distinguishes a failure of makepkg from a failure to start it.
        let script = format!(": >{NOTES_PATH}/started && BASH_ENV={HOOK_PATH} exec makepkg \"$@\"");
        // Signatures were checked before, with the keys of the repository and on the fetched sources. Sources
        // are not updated, even if there is a network.
        let options = [
            "--noconfirm",
            "--nocolor",
            "--holdver",
            "--skippgpcheck",
            "--config",
            settings::PATH,
        ];
        let mut stage = Stage::default();
        let mut offline = Offline::default();
        let start = ["bash", "-c", &script, "makepkg"];
        let arguments = [&start[..], &options, run.options()].concat();
        let status = command.watch_while(&arguments, |line| {
            stage.line(line);
            offline.line(line);
            version.is_none_or(|version| stage.changed_version(version).is_none())
        })?;
        if let Some(version) = version
            && let Some(other) = stage.changed_version(version)
        {
            return Err(version_changed(version, other).see_log());
        }
        if !status.success() && fs_err::symlink_metadata(notes.join("started")).is_err() {
            return Err(run.reclassified(failures::makepkg_not_started()));
        }
        let exit_context = self.exit_context(&notes, exit_code(status), stage);
        let Some(failure) = exit_context.failure() else {
            return Ok(notes);
        };
        if exit_context.is_unreadable() {
            let why = pkgbuild_syntax_error(&self.command())?
                .unwrap_or_else(|| LAST_COMMAND_FAILED.to_owned());
            return Err(unreadable_pkgbuild(&why).see_log());
        }
        let failure = match is_online {
            true => offline.explain_refusal(failure),
            false => offline.explain(failure, &self.task.request),
        };
        Err(run.reclassified(failure).see_log())
    }

    /// Collects what is known about a finished run.
    fn exit_context(&self, notes: &Path, code: i32, stage: Stage) -> ExitContext {
        let Self { root, task, .. } = *self;
        let note = read_regular(&notes.join("ended"), MAX_NOTE_BYTES).unwrap_or_default();
        ExitContext {
            code,
            exit: ExitRecord::parse(&String::from_utf8_lossy(&note)),
            lacks_git: lacks_git(root, task),
            lacks_own_program: lacks_own_program(root, &stage),
            is_bootstrap: task.request.bootstrap,
            stage,
        }
    }
}

/// Explains why the second run was stopped.
fn version_changed(version: &PackageVersion, other: &str) -> Failure {
    Failure::package(format!(
        "pkgver() printed {} first and {} when it ran again before build(), so makepkg discarded the \
         release of {version}",
        version.without_pkgrel(),
        other.rsplit_once('-').map_or(other, |(version, _)| version),
    ))
    .hint("make pkgver() depend only on the sources, not on the time, the network or its own changes")
}

/// Returns bash's message about the syntax of the PKGBUILD: `line 7: syntax error …`.
pub(super) fn pkgbuild_syntax_error(command: &Sandboxed<'_>) -> Result<Option<String>, Failure> {
    let script = "bash -n PKGBUILD 2>&1";
    let (_, text) = command.output_within(&["bash", "-c", script], MAX_NOTE_BYTES)?;
    let text = String::from_utf8_lossy(&text);
    let mut lines = text.lines();
    Ok(lines
        .find_map(|line| line.strip_prefix("PKGBUILD: "))
        .map(str::to_owned))
}

/// Returns whether there are git sources, but no git to unpack them.
fn lacks_git(root: &Root, task: &BuildTask) -> bool {
    let is_git = |source: &String| {
        let address = source.split_once("::").map_or(&**source, |(_, rest)| rest);
        address.starts_with("git+") || address.starts_with("git://")
    };
    task.request.sources.iter().any(is_git)
        && fs_err::symlink_metadata(root.path.join("usr/bin/git")).is_err()
}

/// Returns whether makepkg did not find one of its own programs because the root lacks it. A PKGBUILD that
/// changes PATH hides existing ones.
fn lacks_own_program(root: &Root, stage: &Stage) -> bool {
    let is_absent = |program: &String| {
        OWN_PROGRAMS.contains(&&**program)
            && fs_err::symlink_metadata(root.path.join("usr/bin").join(program)).is_err()
    };
    stage.missing().iter().any(is_absent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_of_the_second_run_match_snapshot() {
        let version = "1-1.1".parse().unwrap();
        let of_machine = Failure::infrastructure("makepkg: it cannot write to the build folder");
        let text = crate::failure::recorded([
            ("changed version", version_changed(&version, "2-1")),
            (
                "unreadable PKGBUILD",
                unreadable_pkgbuild(LAST_COMMAND_FAILED),
            ),
            (
                "failure of the machine",
                Run::Build.reclassified(of_machine),
            ),
        ]);
        insta::assert_snapshot!(text);
    }
}
