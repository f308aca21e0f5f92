//! The build itself, and what makepkg's exit codes mean.

use std::path::Path;

use super::bwrap::{BUILD_USER, Sandboxed, View, exit_code};
use super::heading;
use super::root::Root;
use crate::sandbox::job::{BuildTask, Failure};
use crate::sys::Identity;

/// Runs makepkg without network, as the unprivileged user.
pub(super) fn run(root: &Root, build: &Path, task: &BuildTask) -> Result<(), Failure> {
    heading(&format!("building {}", task.request.pkgbase));
    let temporary = root.scratch_dir("tmp", BUILD_USER, 0o1777)?;
    let mut command = Sandboxed::new(View::ReadOnly(root), Identity::User(BUILD_USER))
        .bind(build.to_owned(), "/build", true)
        .bind(temporary.clone(), "/tmp", true)
        .bind(temporary, "/var/tmp", true)
        .folder("/build/tree")
        .env("HOME", "/build/home")
        .env("USER", "build")
        .env("BUILDDIR", "/build/work")
        .env("PKGDEST", "/build/packages")
        .env("SRCDEST", "/build/sources")
        .env("PKGEXT", ".pkg.tar.zst")
        .env("CARCH", task.request.architecture.as_str())
        .env("MAKEFLAGS", format!("-j{}", task.jobs));
    if let Some(epoch) = task.request.source_date_epoch {
        command = command.env("SOURCE_DATE_EPOCH", epoch.to_string());
    }
    if let Some(packager) = &task.request.packager {
        command = command.env("PACKAGER", packager.clone());
    }
    // Tells a failure of makepkg from one to start it.
    let started = build.join("work/started");
    let script = ": >/build/work/started && exec makepkg \"$@\"";
    // Signatures need keys that only the packager has; checksums are checked.
    let options = ["--noconfirm", "--nocolor", "--skippgpcheck"];
    let status = command.run(&[&["bash", "-c", script, "makepkg"], &options[..]].concat())?;
    if !status.success() && fs_err::symlink_metadata(&started).is_err() {
        return Err(Failure::infrastructure("the sandbox could not start makepkg").see_log());
    }
    failure_of(exit_code(status)).map_or(Ok(()), Err)
}

/// What an exit code of makepkg(8) means; `None` for success.
fn failure_of(code: i32) -> Option<Failure> {
    let package = |text: &str| Failure::package(format!("makepkg: {text} (exit {code})"));
    let infrastructure =
        |text: &str| Failure::infrastructure(format!("makepkg: {text} (exit {code})"));
    let failure = match code {
        0 => return None,
        2 => infrastructure("its configuration is wrong"),
        3 => infrastructure("it was called with an invalid option"),
        4 => package("a function in the PKGBUILD failed"),
        5 => package("no viable package was made"),
        6 => package("a source file is missing"),
        7 => package("the package folder is missing"),
        8 => {
            infrastructure("dependencies are missing that the plan or the repositories should have")
        }
        10 => infrastructure("it was run as root"),
        11 => infrastructure("it may not write to the build folder"),
        12 => package("the PKGBUILD could not be read"),
        13 => infrastructure("the build folder already holds the package"),
        15 => infrastructure("programs that makepkg needs are missing"),
        137 => package("it was killed"),
        _ => package("the build failed"),
    };
    Some(failure.see_log())
}

#[cfg(test)]
mod tests {
    use super::*;
    use buildbtw_model::FailureKind;

    #[test]
    fn exit_codes_tell_whose_fault_it_is() {
        assert!(failure_of(0).is_none());
        for (code, kind) in [
            (1, FailureKind::Package),
            (4, FailureKind::Package),
            (8, FailureKind::Infrastructure),
            (12, FailureKind::Package),
            (15, FailureKind::Infrastructure),
        ] {
            assert_eq!(failure_of(code).unwrap().kind, kind, "{code}");
        }
        let failure = failure_of(4).unwrap();
        assert_eq!(
            failure.message,
            "makepkg: a function in the PKGBUILD failed (exit 4)"
        );
        assert!(failure.see_log);
    }
}
