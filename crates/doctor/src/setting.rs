//! Settings in a report.

use buildbtw_model::hide_user_info;
use buildbtw_settings::Setting;
use serde::Serialize;

/// What a report shows in place of a secret.
const HIDDEN: &str = "(hidden)";
/// What a report shows for a setting without a value.
const UNSET: &str = "not set";

/// A setting, as a report shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ShownSetting {
    /// Its name, as `buildbtw_settings` or the file of a program has it.
    pub name: String,
    /// Its value; absent if it is not set, and hidden if it is a secret.
    pub value: Option<String>,
    /// Where the value came from.
    pub origin: String,
    /// Whether the value is a secret.
    pub secret: bool,
}

impl From<Setting> for ShownSetting {
    fn from(setting: Setting) -> Self {
        let Setting {
            name,
            value,
            origin,
            secret,
        } = setting;
        Self {
            name,
            // Whatever the caller did with it.
            value: value.map(|value| match secret {
                true => HIDDEN.to_owned(),
                false => hide_user_info(&value).into_owned(),
            }),
            origin: origin.to_string(),
            secret,
        }
    }
}

impl ShownSetting {
    /// Returns the value and its origin, in one line.
    pub(crate) fn describe(&self) -> String {
        let value = self.value.as_deref().unwrap_or(UNSET);
        format!("{value} ({})", self.origin)
    }
}

#[cfg(test)]
mod tests {
    use buildbtw_settings::Origin;

    use super::*;

    #[test]
    fn never_shows_a_secret() {
        let setting = ShownSetting::from(Setting {
            name: "token".into(),
            value: Some("bbtw_secret".into()),
            origin: Origin::Environment("BUILDBTW_TOKEN".into()),
            secret: true,
        });
        let shown = format!("{setting:?} {}", setting.describe());
        assert!(!shown.contains("bbtw_secret"), "{shown}");
        assert_eq!(setting.describe(), "(hidden) (environment: BUILDBTW_TOKEN)");
        let unset = ShownSetting::from(Setting {
            name: "url".into(),
            value: None,
            origin: Origin::Default,
            secret: false,
        });
        assert_eq!(unset.describe(), "not set (default)");
        let url = ShownSetting::from(Setting {
            name: "server".into(),
            value: Some("http://u:s3cret@x".into()),
            origin: Origin::CommandLine,
            secret: false,
        });
        assert_eq!(url.describe(), "http://(hidden)@x (command line)");
    }
}
