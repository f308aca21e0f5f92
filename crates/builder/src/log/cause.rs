//! Classifies single lines of a log by how well they explain a failure. Knows the messages of the tools that
//! packagers use.

use super::consequence::is_consequence;
use super::text::{
    SYSTEM_ERRORS, after_location, after_program, ends_with_any, has_any, is_command, is_exception,
    is_java_exception, is_ruby_exception, starts_with_any,
};
use super::tool::is_tool;

/// How much a line explains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weight {
    /// Says what is wrong.
    Cause,
    /// Says what is wrong, but also appears in successful builds: the last one counts.
    Complaint,
    /// May say what is wrong.
    Hint,
    /// Only says that something failed before.
    Consequence,
    /// Does not explain the failure.
    Nothing,
}

/// The following lines that belong to a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Continued {
    /// None.
    No,
    /// The next line that is not empty.
    Line,
    /// The location, in a line that starts with `-->`.
    Place,
    /// All indented lines.
    Indented,
    /// The next line, if it is a message of a Go test.
    GoMessage,
    /// All lines up to an empty one.
    Paragraph,
    /// All lines up to one of GoogleTest itself, which start with a bracket.
    GoogleTest,
}

/// Lines of Sphinx and bundlers that introduce the cause.
const ANNOUNCEMENTS: &[&str] = &[
    "Extension error:",
    "Theme error:",
    "Configuration error:",
    "Application error:",
    "Sphinx error:",
    "Warning, treated as error:",
    "error during build:",
];

/// Classifies a line.
pub(super) fn line_weight(line: &str) -> (Weight, Continued) {
    let text = line.trim_start();
    if text.is_empty() || is_harmless(text) {
        return (Weight::Nothing, Continued::No);
    }
    if is_consequence(text) {
        return (Weight::Consequence, Continued::No);
    }
    if let Some(continued) = multiline_cause(line, text) {
        return (Weight::Cause, continued);
    }
    let weight = if is_cause(line, text) {
        Weight::Cause
    } else if is_complaint(text) {
        Weight::Complaint
    } else if is_hint(text) {
        Weight::Hint
    } else {
        Weight::Nothing
    };
    (weight, Continued::No)
}

/// Returns whether a line contains the keywords but reports no failure.
fn is_harmless(text: &str) -> bool {
    let is_question = text.starts_with("::") && has_any(text, &["[Y/n]", "[y/N]"]);
    let is_warning = starts_with_any(text, &["warning:", "Warning:", "WARNING:", "==> WARNING:"]);
    is_question
        || is_warning
        || starts_with_any(
            text,
            &[
                "checking ",
                "ok ",
                "PASS",
                "XFAIL",
                "note:",
                "-- Looking for ",
            ],
        )
        || ends_with_any(
            text,
            &[
                "... ok", " ok", "... no", "... yes", " PASSED", " Passed", " OK",
            ],
        )
        // GLib: `(x:7): Gtk-WARNING **: …`.
        || has_any(text, &["WARNING **:", "Message **:", "DEBUG **:", "INFO **:"])
        || starts_with_any(text, &["** Message:", "** WARNING", "** DEBUG"])
        || (text.contains(": warning: ") && !text.contains(" error: "))
        || has_any(text, &[": note: ", "0 errors", "no error", "No error"])
        || (text.starts_with("not ok ") && has_any(text, &["# TODO", "# SKIP", "# skip"]))
}

/// Recognizes causes whose message continues in the next lines.
fn multiline_cause(line: &str, text: &str) -> Option<Continued> {
    if starts_with_any(
        text,
        &["CMake Error at ", "CMake Error in ", "CMake Error (dev) "],
    ) {
        return Some(Continued::Indented);
    }
    if starts_with_any(
        text,
        &[
            "The following tests FAILED",
            "==> Missing dependencies:",
            "ERROR Missing dependencies:",
        ],
    ) {
        return Some(Continued::Indented);
    }
    if text.starts_with("--- FAIL: ") {
        return Some(Continued::GoMessage);
    }
    let is_announced = text.starts_with("configure: error: ") && text.ends_with(':');
    let is_heading = text.ends_with(':') && starts_with_any(text, ANNOUNCEMENTS);
    if is_announced || is_heading || text.starts_with("ERROR in ./") {
        return Some(Continued::Line);
    }
    // Gradle starts the lines of the cause with `>`, cabal puts it below a number.
    if text.starts_with("* What went wrong:") || is_of_cabal(text) {
        return Some(Continued::Paragraph);
    }
    if text.starts_with("Failure/Error: ") {
        return Some(Continued::Indented);
    }
    if text.starts_with("thread '") && text.contains("panicked at ") {
        return Some(Continued::Line);
    }
    if starts_with_any(
        text,
        &["terminate called after throwing", "#   Failed test"],
    ) {
        return Some(Continued::Line);
    }
    if starts_with_any(text, &["error[", "error: "]) && !line.starts_with(' ') {
        return text.starts_with("error[").then_some(Continued::Place);
    }
    // GHC puts only a code on the line with the location.
    let (_, rest) = after_location(text)?;
    if rest == "Failure" {
        return Some(Continued::GoogleTest);
    }
    let is_bare = rest == "error:" || (rest.starts_with("error: [") && rest.ends_with(']'));
    is_bare.then_some(Continued::Line)
}

fn is_of_cabal(text: &str) -> bool {
    (text.starts_with("Error: [Cabal-") && text.ends_with(']'))
        || text.starts_with("cabal: Could not resolve dependencies")
        || text.ends_with("Encountered missing or private dependencies:")
}

fn is_cause(line: &str, text: &str) -> bool {
    is_compiler(text) || is_linker(text) || is_test(line, text) || is_tool(line, text)
}

/// Returns whether a line is an error of a compiler or interpreter, with a location in a file.
fn is_compiler(text: &str) -> bool {
    if is_command(text) {
        return false;
    }
    if let Some((file, rest)) = after_location(text) {
        let lower = rest
            .get(..24.min(rest.len()))
            .unwrap_or(rest)
            .to_ascii_lowercase();
        let is_error = starts_with_any(
            &lower,
            &[
                "error: ",
                "fatal error: ",
                "error[",
                "fatal: ",
                "internal compiler error",
            ],
        );
        if is_error
            || is_about_source(file, rest)
            || (file.ends_with("meson.build") && rest.starts_with("ERROR: "))
            || rest.starts_with("*** ")
        {
            return true;
        }
    }
    // TypeScript and C#: `x.ts(3,5): error TS2304: …`; D and Nim: `x.nim(3, 5) Error: …`.
    // Free Pascal: `x.pas(3,6) Fatal: …`; tsc on a terminal: `x.ts:3:5 - error TS2304: …`.
    let has_place = has_any(
        text,
        &[
            "): error ",
            "): Error: ",
            ") Error: ",
            ") Fatal: ",
            " - error TS",
        ],
    );
    has_place
        || has_any(text, &[".java:[", ".kt:["]) && text.starts_with("[ERROR]")
        || starts_with_any(text, &["Can't locate ", "fatal error: "])
        || has_any(text, &[": Can't locate ", ": internal compiler error"])
}

/// Returns whether a tool that prints locations only in errors reports one in this file.
fn is_about_source(file: &str, rest: &str) -> bool {
    const KINDS: &[&str] = &[
        ".go", ".erl", ".tex", ".texi", ".texinfo", ".po", ".lua", ".adb", ".ads", ".proto",
    ];
    // A call on a stack, or not an error.
    let is_other = starts_with_any(rest, &["in ", "Warning", "warning", "note", "info"]);
    ends_with_any(file, KINDS) && !rest.is_empty() && !is_other
}

fn is_linker(text: &str) -> bool {
    has_any(
        text,
        &[
            "undefined reference to",
            ": cannot find -l",
            "undefined symbol: ",
            ": multiple definition of ",
            "recompile with -fPIC",
            "recompile with -fPIE",
            "error while loading shared libraries",
            "cannot open shared object file",
            "undefined symbol \"",
        ],
    ) && !is_command(text)
}

fn is_test(line: &str, text: &str) -> bool {
    let is_numbered = |mark: &str| {
        text.split_once('/').is_some_and(|(number, rest)| {
            let is_number = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
            let total = rest.split(' ').next().unwrap_or_default();
            is_number(number) && is_number(total) && rest.contains(mark)
        })
    };
    text.starts_with("not ok ")
        || starts_with_any(text, &["FAIL: ", "[  FAILED  ] ", "FAILED tests", "FAILED test"])
        || (text.starts_with("FAILED ") && text.contains("::"))
        || (text.starts_with("ERROR ") && has_any(text, &[".py", "::"]))
        || (text.starts_with("test ") && text.ends_with(" FAILED"))
        // pytest's explanation of an assertion.
        || (line.starts_with("E   ") && !line.get(4..).unwrap_or_default().trim().is_empty())
        || [" FAIL ", " TIMEOUT ", " ERROR "].iter().any(|mark| is_numbered(mark))
        || (text.contains(": Assertion `") && text.ends_with(" failed."))
        || text.contains("ERROR: AddressSanitizer")
}

/// Returns whether a line is an error of a tool that may also print it when a script continues.
fn is_complaint(text: &str) -> bool {
    if is_command(text) {
        return false;
    }
    let lower = text
        .get(..7.min(text.len()))
        .unwrap_or(text)
        .to_ascii_lowercase();
    if starts_with_any(&lower, &["error: ", "fatal: ", "error:"])
        || starts_with_any(
            text,
            &["Error in ", "Fatal Error: ", "error An unexpected error "],
        )
    {
        return true;
    }
    let is_raised = is_exception(text) || is_ruby_exception(text) || is_java_exception(text);
    if text.starts_with("==> ERROR: ") || is_raised {
        return true;
    }
    if has_any(
        text,
        &[
            ": error: ",
            ": fatal: ",
            ": ERROR: ",
            ": Error: ",
            // MSBuild.
            " : error ",
            ": error MSB",
            ": error NU",
            // libxml2.
            "I/O error : ",
            "parser error : ",
            "validity error : ",
        ],
    ) {
        return true;
    }
    if starts_with_any(
        text,
        &["[ERROR] ", "npm ERR! ", "npm error ", "bwrap: ", "bsdtar: "],
    ) {
        return true;
    }
    if (text.starts_with("No package '") && text.ends_with(" found"))
        || (text.starts_with("Package ") && has_any(text, &["not found"]))
        || (text.starts_with("Checking for ") && text.ends_with(": not found"))
        || (text.starts_with("===> ") && has_any(text, &["not found", "Unable to ", "Failed to "]))
        || text.contains("***Failed")
        || text.contains("***Exception")
    {
        return true;
    }
    after_program(text).is_some_and(|(program, rest)| is_complaint_of(program, rest))
}

/// Returns whether the message after a program's name is a complaint.
fn is_complaint_of(program: &str, rest: &str) -> bool {
    let is_go = program == "go" && !starts_with_any(rest, &["downloading ", "finding "]);
    is_go
        || ends_with_any(rest, SYSTEM_ERRORS)
        || starts_with_any(
            rest,
            &[
                "cannot ",
                "can't ",
                "unable to ",
                "failed to ",
                "missing ",
                "omitting directory",
                "-r not specified",
                "unrecognized option",
                "invalid option",
                "command not found",
            ],
        )
        || (rest.starts_with("line ") && has_any(rest, SYSTEM_ERRORS))
}

fn is_hint(text: &str) -> bool {
    if is_command(text) {
        return false;
    }
    let lower = text.to_ascii_lowercase();
    has_any(
        &lower,
        &[" error: ", " error : ", "fatal ", " failed", "failure"],
    ) || starts_with_any(text, &["FAIL ", "Hunk #", "Killed", "Terminated"])
        || text.ends_with(" Killed")
}
