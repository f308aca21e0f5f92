//! Why something failed, for people.

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

    /// Combines stored parts.
    #[must_use]
    pub fn of(message: Option<String>, hint: Option<String>) -> Option<Self> {
        message.map(|message| Self { message, hint })
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

#[cfg(test)]
mod tests {
    use super::*;

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
