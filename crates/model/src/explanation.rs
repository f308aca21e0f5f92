//! Why something failed, as human-readable text.

use std::error::Error;
use std::fmt;

use serde::{Deserialize, Serialize};

/// Begins a line that says what to do next.
const HINT: &str = "hint: ";

/// Why something failed, and what to do next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Explanation {
    /// What failed, and why.
    pub message: String,
    /// What to do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Explanation {
    /// Splits the lines that begin with `hint: ` off a text.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let (hints, rest): (Vec<&str>, Vec<&str>) =
            text.lines().partition(|line| line.starts_with(HINT));
        let hints: Vec<&str> = hints
            .iter()
            .filter_map(|line| line.strip_prefix(HINT))
            .collect();
        Self {
            message: rest.join("\n"),
            hint: Some(hints.join("; ")).filter(|hint| !hint.is_empty()),
        }
    }

    /// Creates an explanation with what to do next.
    #[must_use]
    pub fn with_hint(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: Some(hint.into()),
        }
    }

    /// Sets what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Returns the explanation of an error: the messages of the error and its sources, and their hints. The hint of an
    /// error is that of an `Explanation` in the chain. Errors of some libraries repeat their sources, which are left out.
    #[must_use]
    pub fn of_error(error: &(dyn Error + 'static)) -> Self {
        let (mut messages, mut hints): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
        let mut next = Some(error);
        while let Some(error) = next {
            let message = match error.downcast_ref::<Self>() {
                Some(explanation) => {
                    hints.extend(explanation.hint.clone());
                    explanation.message.clone()
                }
                None => error.to_string(),
            };
            if !messages.last().is_some_and(|last| last.ends_with(&message)) {
                messages.push(message);
            }
            next = error.source();
        }
        Self {
            message: messages.join(": "),
            hint: Some(hints.join("; ")).filter(|hint| !hint.is_empty()),
        }
    }

    /// Combines stored parts.
    #[must_use]
    pub fn of(message: Option<String>, hint: Option<String>) -> Option<Self> {
        message.map(|message| Self { message, hint })
    }

    /// Returns the text for places of one line, such as the cell of a table.
    #[must_use]
    pub fn in_one_line(&self) -> String {
        match &self.hint {
            Some(hint) => format!("{}; {HINT}{hint}", self.message),
            None => self.message.clone(),
        }
    }

    /// Changes the message.
    #[must_use]
    pub fn map(self, change: impl FnOnce(String) -> String) -> Self {
        Self {
            message: change(self.message),
            hint: self.hint,
        }
    }
}

impl<T: Into<String>> From<T> for Explanation {
    fn from(message: T) -> Self {
        Self {
            message: message.into(),
            hint: None,
        }
    }
}

/// The hint is a line of its own.
impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\n{HINT}{hint}"),
            None => Ok(()),
        }
    }
}

/// So that programs can pass hints through the errors of libraries; [`Explanation::of_error`] collects them.
impl Error for Explanation {}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot start")]
    struct CannotStart(#[source] Explanation);

    #[test]
    fn collects_messages_and_hint_of_an_error_chain() {
        let error = CannotStart(Explanation::with_hint("the folder is locked", "stop it"));
        let found = Explanation::of_error(&error);
        let expected = Explanation::with_hint("cannot start: the folder is locked", "stop it");
        assert_eq!(found, expected);
        let plain = std::io::Error::other("no");
        assert_eq!(Explanation::of_error(&plain), "no".into());
    }

    #[derive(Debug, thiserror::Error)]
    #[error("cannot read: {0}")]
    struct Repeated(#[source] std::io::Error);

    #[test]
    fn says_repeated_sources_once() {
        let error = Repeated(std::io::Error::other("the disk fails"));
        let found = Explanation::of_error(&error);
        assert_eq!(found, "cannot read: the disk fails".into());
    }

    #[test]
    fn separates_hint_from_message() {
        let explanation = Explanation::with_hint("it failed", "do this");
        assert_eq!(explanation.to_string(), "it failed\nhint: do this");
        assert_eq!(explanation.in_one_line(), "it failed; hint: do this");
        let explanation = Explanation::from("it failed");
        assert_eq!(explanation.in_one_line(), explanation.to_string());
    }

    #[test]
    fn splits_hints_off_a_text() {
        for (text, message, hint) in [
            ("it failed", "it failed", None),
            ("it failed\nhint: do this", "it failed", Some("do this")),
            (
                "it failed\nhint: do this\ncurl: (6) no\nhint: or that",
                "it failed\ncurl: (6) no",
                Some("do this; or that"),
            ),
            ("no hint: here", "no hint: here", None),
        ] {
            let found = Explanation::parse(text);
            assert_eq!(
                (found.message.as_str(), found.hint.as_deref()),
                (message, hint)
            );
            assert_eq!(Explanation::parse(&found.to_string()), found);
        }
    }
}
