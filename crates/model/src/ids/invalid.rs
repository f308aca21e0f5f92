//! The error for texts that are not valid identifiers.

/// A text that is not a valid identifier of its kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{value}` is not a valid {kind}: {reason}")]
pub struct InvalidName {
    /// The kind of identifier that was expected.
    pub kind: &'static str,
    /// The text, truncated if it is very long.
    pub value: String,
    /// The rule that it violates.
    pub reason: String,
}

impl InvalidName {
    pub(crate) fn new(kind: &'static str, value: &str, reason: impl Into<String>) -> Self {
        let mut value: String = value.chars().take(120).collect();
        value.retain(|c| !c.is_control());
        Self {
            kind,
            value,
            reason: reason.into(),
        }
    }
}
