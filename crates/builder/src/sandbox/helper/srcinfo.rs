//! Compares the `.SRCINFO`, on which the plan is based, with the PKGBUILD, before anything is downloaded for
//! it.
//!
//! The PKGBUILD is code. It runs as the unprivileged user, without network, in separate folders. Of the files
//! that it leaves there, only the note whether it depends on its environment is read.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::accounts::BUILD_USER;
use super::bwrap::Sandboxed;
use super::headings::heading;
use super::makepkg;
use super::root::Root;
use super::unreadable_pkgbuild::unreadable_pkgbuild;
use crate::failure::Failure;
use crate::request::BuildRequest;
use crate::sandbox::job::BuildTask;
use crate::source::pkgbuild::Pkgbuild;
use crate::source::read_regular;
use crate::source::srcinfo::{Difference, Srcinfo, differences};

/// The largest `.SRCINFO` of a distribution has some 100 kB.
const MAX_SRCINFO_BYTES: u64 = 4 << 20;
/// The number of differences in a message; the log has all of them.
const SHOWN: usize = 4;
/// Prints the `.SRCINFO` of the PKGBUILD, and whether it has a `pkgver()`, which may be defined in a file
/// that it sources.
const PRINT: &str = "\
    printf '\\n%s\\n' \"$2\"
    makepkg --printsrcinfo --nocolor || exit
    exec 3>&1
    bash -c 'source ./PKGBUILD >&2 3>&-
        declare -F pkgver >/dev/null && answer=yes || answer=no
        printf \"\\n%s%s\\n\" \"$1\" \"$answer\" >&3' bash \"$1\"
    true";
/// Marks the beginning of the output: a login shell may print something before.
const BEGIN: &str = "buildbtw: the .SRCINFO:";
/// The beginning of the line that says whether there is a `pkgver()`.
const HAS_PKGVER: &str = "buildbtw: has pkgver(): ";
/// Architectures on which `.SRCINFO` files are usually written.
const ARCHITECTURES: &[&str] = &["x86_64", "aarch64"];
/// Records whether the top level of a PKGBUILD depends on its environment.
const ENVIRONMENT: &str = include_str!("environment.bash");

/// The result of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Agreement {
    Yes,
    /// The output of the PKGBUILD may change when its dependencies are installed.
    Undecided,
}

/// Evaluates a PKGBUILD.
pub(super) struct PkgbuildQuery<'a> {
    root: &'a Root,
    task: &'a BuildTask,
    /// The folder that contains the folders visible to it.
    build: PathBuf,
    tmp: PathBuf,
    tree: &'a Path,
    /// Whether it has a `pkgver()`, once bash has reported it.
    has_pkgver_function: Cell<Option<bool>>,
    /// The last output for the architecture of the build.
    last: RefCell<Option<Srcinfo>>,
}

impl<'a> PkgbuildQuery<'a> {
    /// Creates the folders.
    pub(super) fn new(
        root: &'a Root,
        task: &'a BuildTask,
        tree: &'a Path,
    ) -> Result<Self, Failure> {
        let build = makepkg::make_folders(root, "srcinfo")?;
        root.scratch_dir("srcinfo/tree", BUILD_USER, 0o755)?;
        let tmp = root.scratch_dir("srcinfo-tmp", BUILD_USER, 0o1777)?;
        Ok(Self {
            root,
            task,
            build,
            tmp,
            tree,
            has_pkgver_function: Cell::new(None),
            last: RefCell::default(),
        })
    }

    fn command(&self, architecture: &str) -> Sandboxed<'a> {
        makepkg::command(self.root, &self.build, self.tmp.clone(), self.task)
            .bind(self.tree.to_owned(), "/startdir", false)
            .env("CARCH", architecture)
    }

    /// Returns the build request.
    pub(super) fn request(&self) -> &'a BuildRequest {
        &self.task.request
    }

    pub(super) fn architecture(&self) -> &'a str {
        self.task.request.architecture.as_str()
    }

    /// Evaluates the PKGBUILD; returns `None` if makepkg cannot read it.
    fn print(&self, architecture: &str) -> Result<Option<Srcinfo>, Failure> {
        let arguments = ["bash", "-c", PRINT, "bash", HAS_PKGVER, BEGIN];
        let (status, text) = self
            .command(architecture)
            .output_within(&arguments, MAX_SRCINFO_BYTES)?;
        let text = String::from_utf8_lossy(&text);
        let text = text.split_once(BEGIN).map_or(&*text, |(_, text)| text);
        let (text, answer) = text.rsplit_once(HAS_PKGVER).unwrap_or((text, ""));
        match answer.trim() {
            "yes" => self.has_pkgver_function.set(Some(true)),
            "no" => self.has_pkgver_function.set(Some(false)),
            _ => {}
        }
        let printed = status.success().then(|| Srcinfo::parse(text));
        // A PKGBUILD that ends with `exit 0` prints nothing.
        let printed = printed.filter(|info| !info.is_empty());
        if architecture == self.architecture() {
            self.last.replace(printed.clone());
        }
        Ok(printed)
    }

    /// Returns the `.SRCINFO` of the PKGBUILD, evaluated if it is not known yet; `None` if makepkg cannot
    /// read it.
    pub(super) fn current_srcinfo(&self) -> Result<Option<Srcinfo>, Failure> {
        let known = self.last.borrow().clone();
        match known {
            Some(srcinfo) => Ok(Some(srcinfo)),
            None => self.print(self.architecture()),
        }
    }

    /// Evaluates the PKGBUILD again after it was changed.
    pub(super) fn fresh_srcinfo(&self) -> Result<Option<Srcinfo>, Failure> {
        self.print(self.architecture())
    }

    /// Compares the two files. With `last`, no more packages will be installed.
    pub(super) fn compare(&self, pkgbuild: &Pkgbuild, last: bool) -> Result<Agreement, Failure> {
        let Ok(committed) = read_regular(&self.tree.join(".SRCINFO"), MAX_SRCINFO_BYTES) else {
            // Nothing was planned with it.
            return Ok(Agreement::Yes);
        };
        heading("comparing .SRCINFO with the PKGBUILD");
        let committed = Srcinfo::parse(&String::from_utf8_lossy(&committed));
        let Some(printed) = self.print(self.architecture())? else {
            if let Some(why) = self.syntax_error()? {
                return Err(unreadable_pkgbuild(&why));
            }
            // With everything installed, makepkg itself reports what it rejects.
            return Ok(if last {
                Agreement::Yes
            } else {
                Agreement::Undecided
            });
        };
        let computes = self.has_pkgver_function(pkgbuild)?;
        let compared =
            |printed: &Srcinfo| differences(&committed, printed, self.architecture(), computes);
        let found = compared(&printed);
        if found.is_empty() {
            return Ok(Agreement::Yes);
        }
        for other in self.other_architectures(&printed) {
            let agrees = |info: &Srcinfo| compared(info).is_empty();
            if self.print(&other)?.as_ref().is_some_and(agrees) {
                heading(&format!(".SRCINFO was written on {other}"));
                return Ok(Agreement::Yes);
            }
        }
        if !last && (self.names_missing_path(pkgbuild) || self.depends_on_environment()?) {
            heading(
                "the PKGBUILD runs programs that its dependencies may provide: compared again later",
            );
            return Ok(Agreement::Undecided);
        }
        Err(stale(&found))
    }

    /// Returns whether the version is computed during the build.
    pub(super) fn has_pkgver_function(&self, pkgbuild: &Pkgbuild) -> Result<bool, Failure> {
        if self.has_pkgver_function.get().is_none() {
            self.print(self.architecture())?;
        }
        let answer = self.has_pkgver_function.get();
        Ok(answer.unwrap_or_else(|| pkgbuild.has_pkgver_function()))
    }

    /// Returns the other architectures on which the `.SRCINFO` may have been written, because it can describe
    /// the PKGBUILD only on one of them.
    fn other_architectures(&self, printed: &Srcinfo) -> BTreeSet<String> {
        let mut others: BTreeSet<String> = printed.architectures().into_iter().collect();
        others.extend(ARCHITECTURES.iter().copied().map(str::to_owned));
        others.retain(|other| other != "any" && other != self.architecture());
        others
    }

    /// Returns whether the PKGBUILD mentions a missing file that its dependencies may provide: if it only
    /// tests for the file, nothing fails.
    fn names_missing_path(&self, pkgbuild: &Pkgbuild) -> bool {
        pkgbuild.system_paths().iter().any(|path| {
            let path = self.root.path.join(path.trim_start_matches('/'));
            fs_err::symlink_metadata(path).is_err()
        })
    }

    fn syntax_error(&self) -> Result<Option<String>, Failure> {
        makepkg::pkgbuild_syntax_error(&self.command(self.architecture()))
    }

    fn depends_on_environment(&self) -> Result<bool, Failure> {
        let arguments = ["bash", "-c", ENVIRONMENT];
        self.command(self.architecture())
            .output_within(&arguments, MAX_SRCINFO_BYTES)?;
        let mark = makepkg::notes(&self.build).join("depends-on-environment");
        Ok(fs_err::symlink_metadata(mark).is_ok())
    }
}

fn stale(found: &[Difference]) -> Failure {
    for difference in found {
        heading(&difference.to_string());
    }
    let fix = "run `makepkg --printsrcinfo > .SRCINFO` and commit it";
    heading(&format!("to fix it, {fix}"));
    let shown: Vec<String> = found.iter().take(SHOWN).map(ToString::to_string).collect();
    let more = match found.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!("; and {more} more, see the log"),
    };
    Failure::package(format!(".SRCINFO is stale: {}{more}", shown.join("; "))).hint(fix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failure_matches_snapshot() {
        let difference = |field: &str| Difference {
            field: field.to_owned(),
            srcinfo: "1".to_owned(),
            pkgbuild: String::new(),
        };
        let many: Vec<Difference> = (0..9).map(|n| difference(&format!("f{n}"))).collect();
        let text = crate::failure::recorded([
            ("one difference", stale(&[difference("depends")])),
            ("many differences", stale(&many)),
            (
                "PKGBUILD with a mistake",
                unreadable_pkgbuild("line 7: syntax error near unexpected token `}'"),
            ),
        ]);
        insta::assert_snapshot!(text);
    }
}
