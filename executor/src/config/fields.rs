//! Names the setting that was probably meant in place of an unknown one.

use buildbtw_model::Explanation;
use buildbtw_settings::{fields_of, line_of, nearest};
use toml::de::{DeTable, DeValue};

use super::limits::LimitSettings;
use super::simulated::SimulatedSettings;

const EXAMPLE: &str = "executor.toml.example shows every setting with a valid value";

/// Checks that all settings of a file exist; `own` are those outside of tables. A text that is not TOML is left to the
/// parser of the settings.
pub(super) fn check(text: &str, own: &[&str]) -> Result<(), Explanation> {
    let Ok(settings) = DeTable::parse(text) else {
        return Ok(());
    };
    let settings = settings.get_ref();
    check_table(text, settings, "", own)?;
    if let Some(limits) = table(settings, "limits") {
        check_table(text, limits, "limits.", fields_of::<LimitSettings>())?;
    }
    let builder = table(settings, "builder");
    if let Some(simulated) = builder.and_then(|builder| table(builder, "simulated")) {
        let known = fields_of::<SimulatedSettings>();
        check_table(text, simulated, "builder.simulated.", known)?;
    }
    Ok(())
}

/// Returns the names of all settings, those of tables with the name of the table. `own` are those outside of tables.
pub(super) fn names(own: &[&str]) -> Vec<String> {
    let own = own.iter().filter(|name| **name != "limits");
    let limits = fields_of::<LimitSettings>().iter();
    own.map(|name| (*name).to_owned())
        .chain(limits.map(|name| format!("limits.{name}")))
        .collect()
}

/// Explains in one line why a file is not valid.
pub(super) fn explain(text: &str, error: &toml::de::Error) -> Explanation {
    let line = line_of(text, error.span().map_or(0, |span| span.start));
    let reason = error.message().replace('\n', ", ");
    Explanation::with_hint(format!("line {line}: {reason}"), EXAMPLE)
}

fn table<'a, 'i>(settings: &'a DeTable<'i>, name: &str) -> Option<&'a DeTable<'i>> {
    settings.get(name).and_then(|value| match value.get_ref() {
        DeValue::Table(table) => Some(table),
        _ => None,
    })
}

fn check_table(
    text: &str,
    table: &DeTable<'_>,
    prefix: &str,
    known: &[&str],
) -> Result<(), Explanation> {
    let unknown = table
        .keys()
        .filter(|key| !known.contains(&key.get_ref().as_ref()))
        .min_by_key(|key| key.span().start);
    let Some(key) = unknown else {
        return Ok(());
    };
    let (name, line) = (key.get_ref(), line_of(text, key.span().start));
    let hint = match nearest(name, known.iter().copied()) {
        Some(meant) => format!("did you mean `{prefix}{meant}`?"),
        None => EXAMPLE.to_owned(),
    };
    let message = format!("line {line}: unknown setting `{prefix}{name}`");
    Err(Explanation::with_hint(message, hint))
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    use super::*;

    fn check(text: &str) -> Result<(), Explanation> {
        super::check(text, fields_of::<Config>())
    }

    #[test]
    fn explains_other_mistakes_in_one_line() {
        for (text, expected) in [
            ("server = 'x'\njobs", "line 2: "),
            (
                "server = 1",
                "line 1: invalid type: integer `1`, expected a string",
            ),
            ("state_dir = '/x'", "line 1: missing field `server`"),
        ] {
            let error = toml::from_str::<Config>(text).unwrap_err();
            let explanation = explain(text, &error);
            assert!(explanation.message.starts_with(expected), "{explanation}");
            assert_eq!(explanation.to_string().lines().count(), 2, "{explanation}");
        }
    }

    #[test]
    fn names_the_setting_that_was_meant() {
        for (text, expected) in [
            (
                "server = 'x'\n\nservre = 1\nbuild = 2",
                "line 3: unknown setting `servre`\nhint: did you mean `server`?",
            ),
            (
                "[limits]\nmemory = 1",
                "line 2: unknown setting `limits.memory`\nhint: did you mean `limits.memory_mib`?",
            ),
            (
                "builder.simulated = { second = 1 }",
                "line 1: unknown setting `builder.simulated.second`\nhint: did you mean `builder.simulated.seconds`?",
            ),
            (
                "colour = 'red'",
                "line 1: unknown setting `colour`\nhint: executor.toml.example shows every setting with a valid value",
            ),
        ] {
            assert_eq!(check(text).unwrap_err().to_string(), expected);
        }
        for text in ["", "server = ", "limits = 1\nbuilder = 'sandbox'"] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
    }
}
