//! Opens a shell in the root of a build that failed, for the person who repeats it.

use std::path::PathBuf;

use super::accounts::BUILD_USER;
use super::headings::heading;
use super::makepkg;
use super::root::Root;
use crate::failure::Failure;
use crate::sandbox::job::BuildTask;
use crate::sandbox::terminal::Terminal;

/// Says where the person is, and starts the shell where the commands of the PKGBUILD ran. It gets its prompt here, because
/// shells that are not interactive remove it from the environment.
const SCRIPT: &str = r#"printf '%s\n' "$1"
cd "/build/$2/src" 2>/dev/null
PS1='[\u \w]\$ ' exec bash --norc -i"#;

/// Opens a shell as the build user, with the files and the environment of makepkg and without a network, and waits for its
/// end. A shell that cannot be opened changes nothing: the build has failed for another reason.
pub(super) fn open(root: &Root, build: &BuildTask, terminal: &Terminal) {
    if let Err(failure) = run(root, build, terminal) {
        heading(&format!("no shell: {failure}"));
    }
}

fn run(root: &Root, task: &BuildTask, terminal: &Terminal) -> Result<(), Failure> {
    let build = root.scratch.join("build");
    if !fs_err::exists(build.join("tree"))? {
        return Err(Failure::infrastructure(
            "the build failed before it had a PKGBUILD",
        ));
    }
    let pkgbase = &task.request.pkgbase;
    heading(&format!("opening a shell in the root of {pkgbase}"));
    let mut command = makepkg::command(root, &build, temporary(root)?, task)
        .env("TERM", &terminal.kind)
        .env("HISTFILE", "");
    if task.request.bootstrap {
        command = command.env("BUILDBTW_BOOTSTRAP", "1");
    }
    let text =
        format!("root of {pkgbase} where it failed, PKGBUILD in /startdir; `exit` leaves it");
    let shell = ["bash", "-c", SCRIPT, "shell", &text, pkgbase.as_str()];
    let opened = terminal.open(root.first_uid + BUILD_USER)?;
    command.run_on(&shell, &opened).map(drop)
}

/// Returns the folder that becomes `/tmp`, with what the build left there.
fn temporary(root: &Root) -> Result<PathBuf, Failure> {
    let folder = root.scratch.join(makepkg::TEMPORARY);
    match fs_err::exists(&folder)? {
        true => Ok(folder),
        false => root.scratch_dir(makepkg::TEMPORARY, BUILD_USER, 0o1777),
    }
}
