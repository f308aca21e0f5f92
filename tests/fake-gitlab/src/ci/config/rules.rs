//! Rules: the first one that matches counts.

use serde_json::Value;

use super::{ConfigError, Known, expression};

/// What a matching rule sets.
pub(super) struct Rule<'a> {
    pub(super) when: Option<&'a str>,
    pub(super) allow_failure: Option<bool>,
}

/// Returns the first rule that matches.
pub(super) fn first_rule<'a>(
    at: &str,
    rules: &'a Value,
    known: &Known,
) -> Result<Option<Rule<'a>>, ConfigError> {
    let Value::Array(rules) = rules else {
        return Err(ConfigError::invalid(format!(
            "{at}:rules config should be an array"
        )));
    };
    for rule in rules {
        let Value::Object(rule) = rule else {
            return Err(ConfigError::invalid(format!(
                "{at}:rules:rule config should be a hash"
            )));
        };
        for key in rule.keys() {
            if !["if", "when", "allow_failure"].contains(&key.as_str()) {
                return Err(ConfigError::unsupported(format!("{at}:rules:{key}")));
            }
        }
        let matches = match rule.get("if") {
            None => true,
            Some(Value::String(text)) => expression::holds(text, known)?,
            Some(_) => {
                return Err(ConfigError::invalid(format!(
                    "{at}:rules:rule if invalid expression syntax"
                )));
            }
        };
        if matches {
            return Ok(Some(Rule {
                when: rule.get("when").and_then(Value::as_str),
                allow_failure: rule.get("allow_failure").and_then(Value::as_bool),
            }));
        }
    }
    Ok(None)
}
