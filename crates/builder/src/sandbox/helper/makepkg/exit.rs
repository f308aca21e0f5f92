//! Determines why makepkg exited, and whose fault that is. makepkg(8) has its own exit codes, but a function
//! of a PKGBUILD can exit makepkg with the same ones.

use buildbtw_model::FailureKind;

use super::stage::Stage;
use crate::failure::Failure;

/// Codes from here on stand for signals.
const FIRST_SIGNAL: i32 = 128;

/// A function call on the stack, innermost first.
#[derive(Debug)]
struct Frame {
    function: String,
    file: String,
    line: String,
}

/// The record of the hook; empty if makepkg did not end by `exit`.
#[derive(Debug, Default)]
pub(super) struct ExitRecord {
    code: i32,
    frames: Vec<Frame>,
}

/// The location of the `exit` that ended makepkg.
#[derive(Debug, PartialEq, Eq)]
enum ExitSite<'a> {
    /// In a function of the PKGBUILD.
    Function(&'a str),
    /// In makepkg, because a command in such a function failed.
    FailedFunction,
    /// In the PKGBUILD, outside any function; the line.
    TopLevel(&'a str),
    /// In makepkg, which reports the reason.
    Makepkg,
    /// Unknown: makepkg was killed, or ended in another way.
    Unknown,
}

impl ExitRecord {
    /// Parses the record of the hook. The PKGBUILD can write it too, but only to its own disadvantage: the
    /// server limits the number of attempts, whatever the reason.
    pub(super) fn parse(text: &str) -> Self {
        let mut lines = text.lines();
        let Some(code) = lines.next().and_then(|line| line.parse().ok()) else {
            return Self::default();
        };
        let frames = lines.filter_map(|line| {
            let mut fields = line.splitn(3, '\t').map(str::to_owned);
            Some(Frame {
                function: fields.next()?,
                file: fields.next()?,
                line: fields.next()?,
            })
        });
        Self {
            code,
            frames: frames.collect(),
        }
    }

    fn passed(&self, function: &str) -> bool {
        self.frames.iter().any(|frame| frame.function == function)
    }

    /// Returns the function of the PKGBUILD that was running.
    fn function(&self) -> Option<&str> {
        let caller = |pair: &&[Frame]| pair[1].function == "run_function";
        let pair = self.frames.windows(2).find(caller)?;
        pair.first().map(|frame| &*frame.function)
    }

    fn site(&self) -> ExitSite<'_> {
        if self.frames.is_empty() {
            return ExitSite::Unknown;
        }
        if self.passed("error_function") {
            return ExitSite::FailedFunction;
        }
        if let Some(function) = self.function() {
            return ExitSite::Function(function);
        }
        let mut frames = self.frames.iter();
        match frames.find(|frame| frame.file.ends_with("/PKGBUILD")) {
            Some(frame) => ExitSite::TopLevel(&frame.line),
            None => ExitSite::Makepkg,
        }
    }
}

/// Everything that is known about the exit of makepkg.
#[derive(Debug, Default)]
pub(super) struct ExitContext {
    pub(super) code: i32,
    pub(super) exit: ExitRecord,
    pub(super) stage: Stage,
    /// Whether a source needs git, and git is not installed.
    pub(super) lacks_git: bool,
    /// Whether makepkg did not find a program that it needs for every package, and the root lacks it.
    pub(super) lacks_own_program: bool,
    /// Whether this is a bootstrap build.
    pub(super) is_bootstrap: bool,
}

impl ExitContext {
    /// Returns whether makepkg could not read the PKGBUILD.
    pub(super) fn is_unreadable(&self) -> bool {
        self.code != 0
            && self.exit.site() == ExitSite::Makepkg
            && self.exit.passed("source_safe")
            && !self.is_about_settings()
    }

    fn is_about_settings(&self) -> bool {
        self.exit.passed("load_makepkg_config") || self.exit.passed("source_makepkg_config")
    }

    /// Returns the failure, or `None` after a success.
    pub(super) fn failure(&self) -> Option<Failure> {
        let failure = self.verdict()?;
        Some(failure.in_function(self.exit.function()))
    }

    fn verdict(&self) -> Option<Failure> {
        let code = self.code;
        let ended_by = |function: &str, code: i32| {
            Failure::package(format!("{function}() ended with exit code {code}"))
        };
        match self.exit.site() {
            ExitSite::Function(function) => return Some(ended_by(function, self.exit.code)),
            ExitSite::TopLevel(line) => {
                return Some(Failure::package(format!(
                    "the PKGBUILD ended with exit code {code} in line {line}, outside any function"
                )));
            }
            _ => {}
        }
        // `builtin exit` and `set -u` leave no record, and neither does the last step. A function can write a
        // record that blames makepkg.
        let is_silent = match self.exit.site() {
            ExitSite::Unknown => code < FIRST_SIGNAL,
            site => site == ExitSite::Makepkg,
        };
        if let Some(function) = self.stage.interrupted()
            && (code == 0 || is_silent || self.exit.passed("enter_fakeroot"))
        {
            return Some(ended_by(function, code));
        }
        let package = |text: &str| Failure::package(format!("makepkg: {text} (exit {code})"));
        Some(match code {
            0 => return None,
            137 => package("killed"),
            _ if self.exit.site() == ExitSite::FailedFunction => {
                package("a function in the PKGBUILD failed")
            }
            _ if self.exit.site() == ExitSite::Unknown => package("the build failed"),
            _ if self.exit.passed("enter_fakeroot") => package(of_packaging(code)),
            _ => match self.failure_of_makepkg() {
                // After package code has run, neither the record nor the log is trustworthy.
                failure if self.stage.has_run() && failure.kind == FailureKind::Infrastructure => {
                    package("the build failed")
                }
                failure => failure,
            },
        })
    }

    /// Interprets an exit code of makepkg(8) that is its own.
    fn failure_of_makepkg(&self) -> Failure {
        let code = self.code;
        let passed = |function: &str| self.exit.passed(function);
        let package = |text: &str| Failure::package(format!("makepkg: {text} (exit {code})"));
        let machine =
            |text: &str| Failure::infrastructure(format!("makepkg: {text} (exit {code})"));
        if self.is_about_settings() {
            return machine("its configuration is invalid");
        }
        if passed("check_checksums") {
            return package("the checksum of a source does not match the PKGBUILD");
        }
        if passed("download_local") || passed("missing_source_file") {
            return package("a source file is missing");
        }
        if passed("download_sources") {
            return package("a source was not fetched, because .SRCINFO does not list it")
                .hint("regenerate it with `makepkg --printsrcinfo > .SRCINFO`, commit and push");
        }
        if passed("extract_sources") {
            return package("a source could not be unpacked");
        }
        match code {
            2 if passed("check_software") => package("a source has an unknown protocol"),
            2 => machine("its configuration is invalid"),
            3 => machine("called with an invalid option"),
            5 => package("no viable package was created"),
            6 => package("a source file is missing"),
            7 => package("the package folder is missing"),
            8 if passed("resolve_deps") => machine("pacman could not list the installed packages"),
            8 if self.is_bootstrap => package(
                "the PKGBUILD needs packages that a bootstrap build does not have",
            )
            .hint("omit them from makedepends and checkdepends when BUILDBTW_BOOTSTRAP is 1"),
            8 => package("the PKGBUILD needs packages that are not installed"),
            10 => machine("started as root"),
            11 => machine("cannot write to the build folder"),
            12 => package("the PKGBUILD was rejected"),
            13 => package("the package already exists"),
            15 if self.lacks_git => {
                package("a source needs git, which is not installed").hint("add git to makedepends")
            }
            15 if self.lacks_own_program => machine("programs that makepkg needs are missing"),
            15 => package("a program that the PKGBUILD or its options need is missing")
                .hint("add its package to makedepends"),
            _ => package("the build failed"),
        }
    }
}

/// Interprets an exit code of the last step, which only runs package functions and checks their result.
fn of_packaging(code: i32) -> &'static str {
    match code {
        4 => "a function in the PKGBUILD failed",
        5 => "no viable package was created",
        6 => "a file for the package is missing",
        7 => "the package folder is missing",
        12 => "the PKGBUILD was rejected",
        _ => "the packaging failed",
    }
}

#[cfg(test)]
mod tests;
