//! The fields of a result that are printed.

use serde_json::{Map, Value};

/// The value of `--json` for all fields.
const ALL: &str = "all";

/// The selected fields of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Selection {
    /// All of them.
    All,
    /// These, in the given order: each a path of names, `iteration.counts.failed`.
    Paths(Vec<Vec<String>>),
}

impl Selection {
    /// Parses `name,iteration.status` or `all`.
    pub(crate) fn parse(text: &str) -> Self {
        if text.trim() == ALL {
            return Self::All;
        }
        let paths = text.split(',').map(str::trim);
        let paths = paths.filter(|path| !path.is_empty());
        Self::Paths(
            paths
                .map(|path| path.split('.').map(str::to_owned).collect())
                .collect(),
        )
    }

    /// Returns the paths; none if all fields are selected.
    pub(crate) fn paths(&self) -> &[Vec<String>] {
        match self {
            Self::All => &[],
            Self::Paths(paths) => paths,
        }
    }

    /// Returns whether a field is selected, in whole or in part.
    pub(crate) fn has(&self, field: &str) -> bool {
        match self {
            Self::All => true,
            Self::Paths(paths) => paths
                .iter()
                .any(|path| path.first().is_some_and(|name| name == field)),
        }
    }

    /// Returns the selected part of a value; of each entry, if it is a list.
    pub(crate) fn of(&self, value: Value) -> Value {
        match self {
            Self::All => value,
            Self::Paths(paths) => {
                let mut selected = empty(&value);
                for path in paths {
                    add(&mut selected, &value, path);
                }
                selected
            }
        }
    }
}

/// Returns a value of the same shape without fields.
fn empty(value: &Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.iter().map(empty).collect()),
        Value::Object(_) => Value::Object(Map::new()),
        other => other.clone(),
    }
}

/// Adds what a path leads to. A name that a value lacks adds nothing.
fn add(selected: &mut Value, value: &Value, path: &[String]) {
    match (selected, value) {
        (Value::Array(selected), Value::Array(items)) => {
            for (selected, item) in selected.iter_mut().zip(items) {
                add(selected, item, path);
            }
        }
        (Value::Object(selected), Value::Object(fields)) => {
            let [name, rest @ ..] = path else { return };
            let Some(field) = fields.get(name) else {
                return;
            };
            if rest.is_empty() {
                selected.insert(name.clone(), field.clone());
            } else {
                let inner = selected
                    .entry(name.as_str())
                    .or_insert_with(|| empty(field));
                add(inner, field, rest);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn selects_fields_of_objects_and_of_each_entry() {
        let value = json!([
            { "name": "a", "iteration": { "number": 1, "counts": { "failed": 2, "done": 3 } } },
            { "name": "b" },
        ]);
        let of = |text: &str| Selection::parse(text).of(value.clone());
        assert_eq!(of("all"), value);
        assert_eq!(of("name"), json!([{ "name": "a" }, { "name": "b" }]));
        assert_eq!(
            of("iteration.counts.failed, name"),
            json!([
                { "iteration": { "counts": { "failed": 2 } }, "name": "a" },
                { "name": "b" },
            ])
        );
        assert_eq!(
            of("iteration.number,iteration.counts.done")[0]["iteration"],
            json!({ "number": 1, "counts": { "done": 3 } })
        );
        assert!(Selection::parse("iteration.number").has("iteration"));
        assert!(!Selection::parse("name").has("iteration"));
    }
}
