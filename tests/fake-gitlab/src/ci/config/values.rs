//! Values that several keywords have.

use serde_json::Value;

use super::ConfigError;

/// Parses a text or a list of texts.
pub(super) fn texts(at: &str, value: Option<&Value>) -> Result<Vec<String>, ConfigError> {
    let bad = || {
        ConfigError::invalid(format!(
            "{at} config should be a string or an array of strings"
        ))
    };
    match value {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(vec![text.clone()]),
        Some(Value::Array(values)) => {
            let mut texts = Vec::new();
            for value in values {
                match value {
                    Value::String(text) => texts.push(text.clone()),
                    // Nested lists are flattened, as in GitLab.
                    Value::Array(_) => texts.extend(self::texts(at, Some(value))?),
                    _ => return Err(bad()),
                }
            }
            Ok(texts)
        }
        Some(_) => Err(bad()),
    }
}

/// Parses variables and their values.
pub(super) fn variables(
    at: &str,
    value: Option<&Value>,
) -> Result<Vec<(String, String)>, ConfigError> {
    let object = match value {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Object(object)) => object,
        Some(_) => {
            return Err(ConfigError::invalid(format!(
                "{at} config should be a hash of key value pairs"
            )));
        }
    };
    let mut out = Vec::new();
    for (key, value) in object {
        let value = match value {
            Value::Object(long) => {
                let known = ["value", "description"];
                if let Some(other) = long.keys().find(|key| !known.contains(&key.as_str())) {
                    return Err(ConfigError::unsupported(format!("{at}:{key}:{other}")));
                }
                long.get("value").unwrap_or(&Value::Null)
            }
            value => value,
        };
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            Value::Number(_) | Value::Bool(_) => value.to_string(),
            Value::Array(_) | Value::Object(_) => {
                return Err(ConfigError::invalid(format!(
                    "{at}:{key} config should be a hash of key value pairs"
                )));
            }
        };
        out.push((key.clone(), text));
    }
    Ok(out)
}
