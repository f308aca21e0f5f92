//! Reasons that people give for what they request. Lists show them, next to other things of a line.

use buildbtw_model::api::ProblemKind;

use crate::error::{Error, Refusal};

/// The maximum length of a reason, in characters.
const MAX_REASON: usize = 500;

/// Returns a reason as one line without control characters, which would affect terminals; `None` if it is blank.
///
/// # Errors
/// When it is too long.
pub(super) fn one_line(reason: Option<&str>) -> Result<Option<String>, Error> {
    let Some(reason) = reason else {
        return Ok(None);
    };
    let is_gap = |char: char| char.is_control() || char.is_whitespace();
    let words: Vec<&str> = reason
        .split(is_gap)
        .filter(|word| !word.is_empty())
        .collect();
    let reason = words.join(" ");
    if reason.chars().count() > MAX_REASON {
        let title = format!("the reason has more than {MAX_REASON} characters");
        return Err(Refusal::new(ProblemKind::InvalidRequest, title)
            .hint("shorten it")
            .into());
    }
    Ok(Some(reason).filter(|reason| !reason.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_one_line_without_control_characters() {
        for (given, expected) in [
            (None, None),
            (Some(" \n"), None),
            (
                Some(" new memory,\nuntil  Friday "),
                Some("new memory, until Friday"),
            ),
            (Some("a\u{1b}[2Jb"), Some("a [2Jb")),
            (Some("größer: 64 GiB"), Some("größer: 64 GiB")),
        ] {
            assert_eq!(one_line(given).unwrap().as_deref(), expected);
        }
    }

    #[test]
    fn refuses_long_reasons() {
        assert!(one_line(Some(&"ü".repeat(MAX_REASON))).is_ok());
        let problem = one_line(Some(&"ü".repeat(MAX_REASON + 1)))
            .unwrap_err()
            .into_problem();
        assert_eq!(problem.title, "the reason has more than 500 characters");
        assert!(problem.hint.is_some());
    }
}
