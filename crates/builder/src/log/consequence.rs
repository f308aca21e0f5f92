//! Recognizes lines that only report the failure of something that has reported its own error.

use super::text::{has_any, starts_with_any};

/// The beginnings of such lines.
const STARTS: &[&str] = &[
    "==> ERROR: A failure occurred in",
    "==> ERROR: An unknown error has occurred",
    "==> ERROR: Failed to source",
    "==> ERROR: Could not resolve all dependencies",
    "==> ERROR: Failure while creating working copy",
    "==> ERROR: One or more files did not pass",
    "Aborting...",
    "collect2: error:",
    "collect2: fatal error:",
    "clang: error: linker command failed",
    "clang++: error: linker command failed",
    "cc1: all warnings being treated as errors",
    "cc1plus: all warnings being treated as errors",
    "cc1: some warnings being treated as errors",
    "cc1plus: some warnings being treated as errors",
    "compilation terminated.",
    "ninja: build stopped",
    "ninja: subcommand failed",
    "FAILED: ",
    "-- Configuring incomplete",
    "See also \"",
    "Errors while running CTest",
    "error: could not compile",
    "error: aborting due to",
    "error: linking with ",
    "error: test failed, to rerun",
    "error: doctest failed, to rerun",
    "error: build failed",
    "error: subprocess-exited-with-error",
    "error: metadata-generation-failed",
    "error: command '",
    "error: Command ",
    "ERROR Backend subprocess exited",
    "ERROR: Failed building wheel",
    "ERROR: Could not build wheels",
    "subprocess.CalledProcessError",
    "SystemExit:",
    "tar: Error is not recoverable",
    "tar: Child returned status",
    "tar: Exiting with failure status",
    "Result: FAIL",
    "FAILURE: Build failed",
    "BUILD FAILED",
    "BUILD FAILURE",
    "[ERROR] To see the full stack trace",
    "[ERROR] Re-run Maven",
    "[ERROR] For more information",
    "[ERROR] [Help ",
    "[ERROR] -> [Help",
    "[ERROR] COMPILATION ERROR",
    "[ERROR] After correcting",
    "make: *** Waiting",
    "The configuration failed",
    "configure: error: ./configure failed for",
    "test result: FAILED",
    "error: the following command failed with",
    "error: the following build command failed",
    "error: could not document",
    "error Command failed with exit code",
    "ELIFECYCLE",
    "Fatal: Compilation aborted",
    "Compilation failed: ",
    "BEGIN failed--compilation aborted",
    "scons: building terminated",
    "ERROR: lazy loading failed",
    "Execution halted",
    "--strict was specified",
    "! Emergency stop",
    "!  ==> Fatal error occurred",
    "FAILURES!",
];

/// Parts of such lines.
const PARTS: &[&str] = &[
    "error: ld returned ",
    ": failed to set dynamic section sizes",
    "final link failed: bad value",
    "final link failed: nonrepresentable",
    "returned an error exitcode",
    "(errors have been logged)",
    "compilation phase failed",
    "msgfmt: found ",
];

/// Lines that npm adds to its error.
const NPM: &[&str] = &[
    "code ",
    "errno ",
    "syscall ",
    "A complete log",
    "network This is a problem",
    "network In most cases",
    "network If you are behind",
    "network 'proxy'",
];

/// Returns whether a line of npm does not contain the reason.
fn is_npm_noise(text: &str) -> bool {
    let starts = ["npm ERR!", "npm error"];
    let rest = starts.iter().find_map(|start| text.strip_prefix(start));
    rest.map(str::trim)
        .is_some_and(|rest| rest.is_empty() || rest == "network" || starts_with_any(rest, NPM))
}

/// Returns whether a line only says that something before it failed.
pub(super) fn is_consequence(text: &str) -> bool {
    let is_recipe = (text.contains(": *** [") || text.contains(": [")) && text.contains("] Error ");
    is_recipe
        || starts_with_any(text, STARTS)
        || text == "FAIL"
        || text == "FAILED"
        || text == "error: fatalError"
        || (text.starts_with("a2x: ERROR: ") && text.contains("returned non-zero exit status"))
        || (text.starts_with("gnatmake: ") && text.ends_with("compilation error"))
        || text.contains("*** Waiting for unfinished jobs")
        || is_npm_noise(text)
        // makepkg's own trap, after `set -u` in a function.
        || text.contains(": logpipe: unbound variable")
        || (text.starts_with("[  FAILED  ] ") && text.ends_with(", listed below:"))
        || has_any(text, PARTS)
        || (text.starts_with("[ERROR]") && text.len() <= "[ERROR] ".len())
}
