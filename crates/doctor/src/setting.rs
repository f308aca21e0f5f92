//! Settings in a report.

use serde::Serialize;

/// What a report shows in place of a secret.
const HIDDEN: &str = "[hidden]";
/// What a report shows for a setting without a value.
const UNSET: &str = "not set";

/// A setting, as a report shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ShownSetting {
    /// Its name: the flag of the program, or the key of its file.
    pub name: String,
    /// Its value, unless it is a secret or not set.
    pub value: Option<String>,
    /// Where the value came from.
    pub origin: String,
    /// Whether the value is a secret, which is not shown.
    pub secret: bool,
}

impl ShownSetting {
    /// Describes a setting; the value of a secret is dropped here.
    #[must_use]
    pub fn new(
        name: impl Into<String>,
        value: Option<String>,
        origin: impl Into<String>,
        secret: bool,
    ) -> Self {
        Self {
            name: name.into(),
            value: match (secret, value) {
                (true, Some(_)) => Some(HIDDEN.to_owned()),
                (_, value) => value,
            },
            origin: origin.into(),
            secret,
        }
    }

    /// Returns the value and its origin, in one line.
    pub(crate) fn describe(&self) -> String {
        let value = self.value.as_deref().unwrap_or(UNSET);
        format!("{value} ({})", self.origin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_shows_a_secret() {
        let token = Some("bbtw_secret".to_owned());
        let setting = ShownSetting::new("--token", token, "environment BUILDBTW_TOKEN", true);
        let shown = format!("{setting:?} {}", setting.describe());
        assert!(!shown.contains("bbtw_secret"), "{shown}");
        assert_eq!(setting.describe(), "[hidden] (environment BUILDBTW_TOKEN)");
        let unset = ShownSetting::new("--url", None, "default", false);
        assert_eq!(unset.describe(), "not set (default)");
    }
}
