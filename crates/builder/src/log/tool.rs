//! Recognizes error messages of tools other than compilers, linkers and test runners.

use super::text::{
    SYSTEM_ERRORS, ends_with_any, has_any, is_command, is_elixir_exception, starts_with_any,
};

/// Messages about crashed processes, by themselves or by shells.
const CRASHES: &[&str] = &[
    "Segmentation fault",
    "Segmentation fault (core dumped)",
    "Aborted (core dumped)",
    "Bus error",
    "Bus error (core dumped)",
    "Illegal instruction",
    "Illegal instruction (core dumped)",
    "Floating point exception",
    "Floating point exception (core dumped)",
];

/// Returns whether a line is an error of any other tool that identifies itself.
pub(super) fn is_tool(line: &str, text: &str) -> bool {
    let is_failed_source =
        line.starts_with("    ") && ends_with_any(text, &[" ... FAILED", " ... NOT FOUND"]);
    is_failed_source
        || starts_with_any(
            text,
            &[
                "configure: error: ",
                "CMake Error: ",
                "ninja: error: ",
                "autoreconf: error: ",
                "aclocal: error: ",
                "automake: error: ",
                "curl: (",
                "patch: ****",
                "can't find file to patch",
                "Reversed (or previously applied) patch detected",
                "panic: ",
                "Project ERROR: ",
                "Error: Cannot find module",
                "! ",
                "E: ",
                "e: file://",
                "\u{2718} [ERROR] ",
                "ERR_PNPM_",
                "rspec ./",
                "Failed asserting that ",
                "PHP Fatal error: ",
                "PHP Parse error: ",
            ],
        )
        || (has_any(text, &[" out of "])
            && has_any(
                text,
                &[
                    "hunk FAILED",
                    "hunks FAILED",
                    "hunk ignored",
                    "hunks ignored",
                ],
            ))
        || (text.contains(": *** ") && !text.contains("] Error "))
        || has_any(text, &["PKGBUILD: line "]) && ends_with_any(text, SYSTEM_ERRORS)
        || has_any(text, &["syntax error near", "syntax error: "]) && text.contains("line ")
        || has_any(text, &["No space left on device", "Disk quota exceeded"])
        || is_crash(text)
        || is_elixir_exception(text)
        || starts_with_any(text, &[":: installing ", ":: unable to satisfy"])
        || (text.starts_with("error: target not found"))
}

fn is_crash(text: &str) -> bool {
    let ends = ends_with_any(text, CRASHES) || text.contains("Segmentation fault");
    ends && !is_command(text)
}
