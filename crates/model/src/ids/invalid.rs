//! Why a text is refused as an identifier.

/// Text that is not a valid identifier of its kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{value}' is not a valid {kind}: {reason}")]
pub struct InvalidName {
    /// What the text should have been, in words.
    pub kind: &'static str,
    /// The text, shortened when it is very long.
    pub value: String,
    /// The rule it breaks.
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
