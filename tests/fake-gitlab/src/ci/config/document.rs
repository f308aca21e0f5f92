//! The YAML of a configuration: an optional header with inputs, and the content.

use serde_json::{Map, Value};

use super::ConfigError;

/// The parts of a file.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(super) header: Option<Map<String, Value>>,
    pub(super) content: Value,
}

/// Parses the YAML of a file.
pub(crate) fn parse(text: &str) -> Result<Parsed, ConfigError> {
    // `y` and `n` are strings in GitLab.
    let options = serde_saphyr::options! { strict_booleans: true };
    let documents = serde_saphyr::from_multiple_with_options::<Value>(text, options);
    let documents = documents.map_err(|error| {
        let error = error.to_string();
        let first = error.lines().next().unwrap_or_default();
        ConfigError::invalid(format!("Invalid configuration format: {first}"))
    })?;
    let mut documents = documents.into_iter();
    let (first, second, third) = (documents.next(), documents.next(), documents.next());
    match (first, second, third) {
        (Some(Value::Object(mut header)), Some(content), None) => {
            let spec = header.remove("spec");
            if let Some(other) = header.keys().next() {
                return Err(ConfigError::invalid(format!(
                    "header config contains unknown keys: {other}"
                )));
            }
            let Some(Value::Object(spec)) = spec else {
                return Err(ConfigError::invalid("header:spec config should be a hash"));
            };
            Ok(Parsed {
                header: Some(spec),
                content,
            })
        }
        (Some(content @ Value::Object(_)), None, None) => Ok(Parsed {
            header: None,
            content,
        }),
        _ => Err(ConfigError::invalid("Invalid configuration format")),
    }
}
