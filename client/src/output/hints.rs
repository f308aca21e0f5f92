//! Hints: the next step for the user, on a line of its own.

use super::clean::clean;
use super::style;

/// Starts the line of a builder's message that says what the user can do next.
const PREFIX: &str = "hint: ";

/// Splits the hints off a builder's message.
pub(crate) fn split_hint(message: &str) -> (String, Option<String>) {
    let (hints, rest): (Vec<&str>, Vec<&str>) =
        message.lines().partition(|line| line.starts_with(PREFIX));
    let hints: Vec<&str> = hints
        .iter()
        .filter_map(|line| line.strip_prefix(PREFIX))
        .collect();
    let hint = Some(hints.join("; ")).filter(|hint| !hint.is_empty());
    (rest.join("\n"), hint)
}

/// Returns the line that shows a hint. All hints are printed through this function.
pub(crate) fn hint_line(hint: &str) -> String {
    format!("{} {}", style::paint(style::HINT, "hint:"), clean(hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_hint_from_message() {
        for (message, rest, hint) in [
            ("it failed", "it failed", None),
            ("it failed\nhint: do this", "it failed", Some("do this")),
            (
                "it failed\nhint: do this\ncurl: (6) no\nhint: or that",
                "it failed\ncurl: (6) no",
                Some("do this; or that"),
            ),
            ("no hint: here", "no hint: here", None),
        ] {
            let expected = (rest.to_owned(), hint.map(str::to_owned));
            assert_eq!(split_hint(message), expected);
        }
    }
}
