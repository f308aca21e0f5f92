//! Inputs of a configuration: `spec:inputs`, and `$[[ inputs.name ]]` in its content.

use regex::Regex;
use serde_json::{Map, Value};

use super::ConfigError;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Number,
    Boolean,
    Array,
}

/// Replaces the inputs in the content.
pub(super) fn fill_in(
    spec: &Map<String, Value>,
    content: Value,
    given: &Map<String, Value>,
) -> Result<Value, ConfigError> {
    if let Some(other) = spec.keys().find(|key| *key != "inputs") {
        return Err(match other.as_str() {
            "include" | "component" | "description" => {
                ConfigError::unsupported(format!("header:spec:{other}"))
            }
            _ => ConfigError::invalid(format!("header:spec config contains unknown keys: {other}")),
        });
    }
    let empty = Map::new();
    let declared = match spec.get("inputs") {
        None | Some(Value::Null) => &empty,
        Some(Value::Object(declared)) => declared,
        Some(_) => {
            return Err(ConfigError::invalid(
                "header:spec:inputs config should be a hash",
            ));
        }
    };
    if let Some(unknown) = given.keys().find(|name| !declared.contains_key(*name)) {
        return Err(ConfigError::invalid(format!(
            "unknown input arguments: {unknown}"
        )));
    }
    let mut values = Map::new();
    for (name, definition) in declared {
        let value = value_of(name, definition, given.get(name))?;
        values.insert(name.clone(), value);
    }
    interpolate(content, &values)
}

fn value_of(name: &str, definition: &Value, given: Option<&Value>) -> Result<Value, ConfigError> {
    let empty = Map::new();
    let definition = match definition {
        Value::Null => &empty,
        Value::Object(definition) => definition,
        _ => {
            return Err(ConfigError::invalid(format!(
                "header:spec:inputs:{name} config should be a hash"
            )));
        }
    };
    let known = ["type", "default", "regex", "options", "description"];
    if let Some(other) = definition.keys().find(|key| !known.contains(&key.as_str())) {
        return Err(match other.as_str() {
            "rules" => ConfigError::unsupported(format!("header:spec:inputs:{name}:rules")),
            _ => ConfigError::invalid(format!(
                "header:spec:inputs:{name} config contains unknown keys: {other}"
            )),
        });
    }
    let kind = match definition.get("type").map(Value::as_str) {
        None | Some(Some("string")) => Kind::Text,
        Some(Some("number")) => Kind::Number,
        Some(Some("boolean")) => Kind::Boolean,
        Some(Some("array")) => Kind::Array,
        Some(other) => {
            return Err(ConfigError::invalid(format!(
                "header:spec:inputs:{name} input type unknown value: {}",
                other.unwrap_or_default()
            )));
        }
    };
    let problem = |text: &str| Err(ConfigError::invalid(format!("`{name}` input: {text}")));
    let (value, whose) = match (given, definition.get("default")) {
        (Some(value), _) => (value, "provided"),
        (None, Some(value)) => (value, "default"),
        (None, None) => return problem("required value has not been provided"),
    };
    let (fits, article) = match kind {
        Kind::Text => (value.is_string(), "a string"),
        Kind::Number => (value.is_number(), "a number"),
        Kind::Boolean => (value.is_boolean(), "a boolean"),
        Kind::Array => (value.is_array(), "an array"),
    };
    if !fits {
        return problem(&format!("{whose} value is not {article}"));
    }
    if let Some(pattern) = definition.get("regex") {
        let pattern = pattern.as_str().unwrap_or_default();
        let inner = pattern
            .strip_prefix('/')
            .and_then(|inner| inner.strip_suffix('/'))
            .unwrap_or(pattern);
        let Ok(regex) = Regex::new(inner) else {
            return problem("invalid regular expression");
        };
        if !value.as_str().is_some_and(|text| regex.is_match(text)) {
            return problem(&format!(
                "{whose} value does not match required RegEx pattern"
            ));
        }
    }
    if let Some(Value::Array(options)) = definition.get("options")
        && !options.contains(value)
    {
        let text = as_text(value);
        return problem(&format!(
            "`{text}` cannot be used because it is not in the list of allowed options"
        ));
    }
    Ok(value.clone())
}

/// Replaces the inputs in a text. A text that consists of a single input becomes its value, with its type; otherwise
/// the value is inserted as text.
fn interpolate(value: Value, inputs: &Map<String, Value>) -> Result<Value, ConfigError> {
    Ok(match value {
        Value::String(text) => in_text(&text, inputs)?,
        Value::Array(values) => {
            let values = values.into_iter().map(|value| interpolate(value, inputs));
            Value::Array(values.collect::<Result<_, _>>()?)
        }
        Value::Object(object) => {
            let mut filled = Map::new();
            for (key, value) in object {
                let key = as_text(&in_text(&key, inputs)?);
                filled.insert(key, interpolate(value, inputs)?);
            }
            Value::Object(filled)
        }
        other => other,
    })
}

fn in_text(text: &str, inputs: &Map<String, Value>) -> Result<Value, ConfigError> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("$[[") {
        let Some((block, after)) = after.split_once("]]") else {
            break;
        };
        let value = access(block.trim(), inputs)?;
        if before.is_empty() && out.is_empty() && after.is_empty() {
            return Ok(value.clone());
        }
        out.push_str(before);
        out.push_str(&as_text(value));
        rest = after;
    }
    out.push_str(rest);
    Ok(Value::String(out))
}

fn access<'a>(block: &str, inputs: &'a Map<String, Value>) -> Result<&'a Value, ConfigError> {
    if block.contains('|') {
        return Err(ConfigError::unsupported(format!("functions: {block}")));
    }
    let name = block.strip_prefix("inputs.").ok_or_else(|| {
        let scope = block.split('.').next().unwrap_or_default();
        ConfigError::invalid(format!("unknown interpolation key: `{scope}`"))
    })?;
    inputs
        .get(name)
        .ok_or_else(|| ConfigError::invalid(format!("unknown interpolation key: `{name}`")))
}

fn as_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
