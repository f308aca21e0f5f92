//! Reads the cause of a failure from a job's log in GitLab. It is read only for jobs that have not asked for their
//! build, so that no package's code has written to it.

use buildbtw_model::{Explanation, PermissionDenied, ansi};

/// Longer texts are truncated.
const MAX_LENGTH: usize = 600;
/// The prefix of an error.
const ERROR: &str = "ERROR: ";
/// Errors that the runner adds after the relevant one.
const FOLLOW_UP_ERRORS: &[&str] = &["Job failed", "Preparation failed", "No files to upload"];
/// The markers of sections in a log.
const SECTION_MARKERS: &[&str] = &["section_start:", "section_end:"];
const DENIED: &str = "permission denied";
const MISSING: &str = "no such file or directory";

/// Returns which program the runner or its executor could not run, and why. Retries fail until the host is fixed.
pub(super) fn cannot_run(log: &str) -> Option<String> {
    let text = ansi::strip(&strip_log_markup(log));
    let named = text.lines().find_map(parse_permission_denied);
    let found = named.or_else(|| text.lines().find_map(not_executed));
    found.map(|line| truncate(&line))
}

/// Returns the last error of a log, other than the runner's message that the job failed. The executor prints a hint as
/// a line of the error.
pub(super) fn last_error(log: &str) -> Option<Explanation> {
    let text = strip_log_markup(log);
    let errors = text.match_indices(ERROR).filter_map(|(at, _)| {
        let (before, error) = text.split_at(at);
        let line = before.rsplit('\n').next().unwrap_or_default();
        if !ansi::strip(line).is_empty() {
            return None;
        }
        // A coloured error may span several lines.
        let end = if line.is_empty() { '\n' } else { '\u{1b}' };
        let error = error.split(end).next().unwrap_or_default();
        let lines: Vec<&str> = error
            .trim_start_matches(ERROR)
            .lines()
            .map(str::trim)
            .collect();
        let error = Explanation::parse(&lines.join("\n"));
        let words: Vec<&str> = error.message.split_whitespace().collect();
        Some(Explanation {
            message: truncate(&words.join(" ")),
            hint: error.hint.as_deref().map(truncate),
        })
    });
    let is_news = |error: &Explanation| {
        !error.message.is_empty()
            && !FOLLOW_UP_ERRORS
                .iter()
                .any(|known| error.message.starts_with(known))
    };
    errors.filter(is_news).last()
}

/// Parses the line of buildbtw's executor about a missing permission.
fn parse_permission_denied(line: &str) -> Option<String> {
    PermissionDenied::find(line).map(|denied| denied.to_string())
}

/// Parses a message of gitlab-runner about a program that it could not run: `fork/exec PATH: REASON`, or
/// `exec: "PATH": REASON`.
fn not_executed(line: &str) -> Option<String> {
    let (path, reason) = match line.split_once("fork/exec /") {
        Some((_, rest)) => rest
            .split_once(": ")
            .map(|(path, reason)| (format!("/{path}"), reason)),
        None => {
            let (_, rest) = line.split_once("exec: \"")?;
            let (path, reason) = rest.split_once("\": ")?;
            Some((path.to_owned(), reason))
        }
    }?;
    if reason.starts_with(DENIED) {
        return Some(format!(
            "{DENIED}: {path} (the user of gitlab-runner is not allowed to execute it, or to enter one of its folders)"
        ));
    }
    let is_missing = reason.starts_with(MISSING) || reason.starts_with("executable file not found");
    is_missing.then(|| {
        format!(
            "{MISSING}: {path} (the runner's host lacks it, or the interpreter in its first line)"
        )
    })
}

/// Removes what GitLab and its runner add to the lines of a log, except colours.
fn strip_log_markup(log: &str) -> String {
    let mut text = String::with_capacity(log.len());
    for line in log.lines() {
        let (line, continues) = without_timestamp(line);
        if !continues && !text.is_empty() {
            text.push('\n');
        }
        text.push_str(line);
    }
    for mark in SECTION_MARKERS {
        while let Some(start) = text.find(mark) {
            let rest = text.get(start..).unwrap_or_default();
            let end = rest.find(['\r', '\n']).unwrap_or(rest.len());
            text.replace_range(start..start + end, "");
        }
    }
    text.replace("\r\u{1b}[0K", "\n").replace('\r', "\n")
}

/// Returns a line without a prefix such as `2026-08-22T00:44:03.123456Z 00O `, and whether it continues the previous
/// line.
fn without_timestamp(line: &str) -> (&str, bool) {
    let Some((stamp, rest)) = line.split_at_checked(31) else {
        return (line, false);
    };
    let fits = stamp.bytes().enumerate().all(|(at, byte)| match at {
        4 | 7 => byte == b'-',
        10 => byte == b'T',
        13 | 16 => byte == b':',
        19 => byte == b'.',
        26 => byte == b'Z',
        27 => byte == b' ',
        28 | 29 => byte.is_ascii_hexdigit(),
        30 => matches!(byte, b'O' | b'E'),
        _ => byte.is_ascii_digit(),
    });
    match rest.strip_prefix('+') {
        _ if !fits => (line, false),
        Some(rest) => (rest, true),
        None => (rest.strip_prefix(' ').unwrap_or(rest), false),
    }
}

fn truncate(text: &str) -> String {
    let shown = text.chars().filter(|c| !c.is_control());
    shown.take(MAX_LENGTH).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// Returns lines in the default log format of gitlab-runner.
    fn stamped(lines: &[&str]) -> String {
        let stamp = |line: &&str| format!("2026-08-22T00:44:03.123456Z 00O {line}\n");
        lines.iter().map(stamp).collect()
    }

    #[test]
    fn names_program_that_could_not_be_run() {
        let denied = PermissionDenied::new(
            Path::new("/a b/x"),
            "its folder /a b is not accessible to nobody",
        );
        let marked = format!("\u{1b}[31;1m{}\u{1b}[0;m", denied.to_line().unwrap());
        let table = [
            (
                &*marked,
                Some("permission denied: /a b/x (its folder /a b is not accessible to nobody)"),
            ),
            // Only the marked line counts.
            ("permission denied: /x (its folder / is closed)", None),
            (
                "\u{1b}[31;1mERROR: Preparation failed: fork/exec /root/x: permission denied\u{1b}[0;m",
                Some("permission denied: /root/x (the user"),
            ),
            (
                "ERROR: Job failed (system failure): exec: \"/root/x\": permission denied",
                Some("permission denied: /root/x (the user"),
            ),
            (
                "ERROR: Job failed (system failure): fork/exec /x: no such file or directory",
                Some("no such file or directory: /x (the runner's host"),
            ),
            ("bash: line 1: ./x: Permission denied", None),
            ("fork/exec /x: exec format error", None),
            ("cat: /x: No such file or directory", None),
        ];
        for (line, expected) in table {
            let section = format!("section_start:1:prepare\r\u{1b}[0K{line}");
            for log in [line.to_owned(), stamped(&["before", &section, "after"])] {
                let said = cannot_run(&log);
                match expected {
                    Some(expected) => {
                        assert!(said.as_ref().unwrap().starts_with(expected), "{said:?}");
                    }
                    None => assert_eq!(said, None, "{log}"),
                }
            }
        }
        let both = stamped(&[
            "ERROR: Preparation failed: fork/exec /r/x: permission denied",
            &marked,
        ]);
        assert!(cannot_run(&both).unwrap().contains("its folder /a b"));
    }

    #[test]
    fn skips_repetition_of_the_last_error_by_the_runner() {
        let log = stamped(&[
            "==> ERROR: of something else",
            "\u{1b}[1;31mERROR: an earlier one\u{1b}[0m",
            "\u{1b}[1;31mERROR: the job lacks X.",
            "The job has to come from the template",
            "  hint: use the template\u{1b}[0m",
            "section_end:1:step\r\u{1b}[0K\u{1b}[31;1mERROR: Job failed: exit status 1\u{1b}[0;m",
        ]);
        let message = "the job lacks X. The job has to come from the template";
        let expected = Explanation::with_hint(message, "use the template");
        assert_eq!(last_error(&log), Some(expected));
        let bare = "ERROR: bare\nERROR: No files to upload\nmore\n";
        assert_eq!(last_error(bare), Some("bare".into()));
        let split = "2026-08-22T00:44:03.123456Z 00O ERROR: in two \n\
                     2026-08-22T00:44:03.223456Z 00O+pieces\n";
        assert_eq!(last_error(split), Some("in two pieces".into()));
        assert_eq!(last_error("ERROR: Job failed: exit status 1"), None);
    }
}
