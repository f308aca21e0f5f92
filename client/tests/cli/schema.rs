//! Checks JSON with the schemas of `notes/openapi.json` and `notes/cli.schema.json`, as far as these use JSON Schema.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

/// The documents with the schemas.
pub(crate) struct Schemas {
    api: Value,
    own: Value,
}

/// What the parts of an object's schema say together.
#[derive(Default)]
struct Object<'a> {
    properties: BTreeMap<&'a str, &'a Value>,
    required: BTreeSet<&'a str>,
}

impl Schemas {
    pub(crate) fn read() -> Self {
        let read = |name: &str| -> Value {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../notes");
            serde_json::from_slice(&fs_err::read(folder.join(name)).unwrap()).unwrap()
        };
        Self {
            api: read("openapi.json"),
            own: read("cli.schema.json"),
        }
    }

    /// Returns what is wrong with a value, also fields that its schema does not have.
    pub(crate) fn problems(&self, name: &str, value: &Value) -> Vec<String> {
        let mut problems = Vec::new();
        self.check(self.named(name), value, name, &mut problems);
        problems
    }

    fn named(&self, name: &str) -> &Value {
        let own = self.own["$defs"].get(name);
        own.unwrap_or_else(|| &self.api["components"]["schemas"][name])
    }

    /// Follows references.
    fn resolved<'a>(&'a self, mut schema: &'a Value) -> &'a Value {
        while let Some(target) = schema["$ref"].as_str() {
            schema = self.named(target.rsplit('/').next().unwrap());
        }
        assert!(schema.is_object(), "unknown schema: {schema}");
        schema
    }

    fn add_parts<'a>(&'a self, schema: &'a Value, object: &mut Object<'a>) {
        let schema = self.resolved(schema);
        for part in schema["allOf"].as_array().into_iter().flatten() {
            self.add_parts(part, object);
        }
        let properties = schema["properties"].as_object().into_iter().flatten();
        object
            .properties
            .extend(properties.map(|(name, schema)| (name.as_str(), schema)));
        let required = schema["required"].as_array().into_iter().flatten();
        object.required.extend(required.filter_map(Value::as_str));
    }

    fn check(&self, schema: &Value, value: &Value, place: &str, problems: &mut Vec<String>) {
        let schema = self.resolved(schema);
        let alternatives = schema["oneOf"].as_array();
        if let Some(alternatives) = alternatives.or_else(|| schema["anyOf"].as_array()) {
            let mut found = Vec::new();
            let fits = alternatives.iter().any(|alternative| {
                let before = found.len();
                self.check(alternative, value, place, &mut found);
                found.len() == before
            });
            if !fits {
                problems.append(&mut found);
            }
            return;
        }
        let kinds: Vec<&str> = match &schema["type"] {
            Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
            kind => kind.as_str().into_iter().collect(),
        };
        let has_kind = kinds.is_empty() || kinds.iter().any(|kind| is_of(value, kind));
        let values = schema["enum"].as_array();
        if !has_kind || values.is_some_and(|values| !values.contains(value)) {
            problems.push(format!("{place}: {value} is not {kinds:?} {values:?}"));
        }
        for item in value.as_array().into_iter().flatten() {
            if let Some(items) = schema.get("items") {
                self.check(items, item, &format!("{place}[]"), problems);
            }
        }
        let mut object = Object::default();
        self.add_parts(schema, &mut object);
        if !object.properties.is_empty() {
            self.check_object(&object, value, place, problems);
        }
    }

    fn check_object(
        &self,
        object: &Object<'_>,
        value: &Value,
        place: &str,
        problems: &mut Vec<String>,
    ) {
        let Some(fields) = value.as_object() else {
            problems.push(format!("{place}: {value} is not an object"));
            return;
        };
        for name in object
            .required
            .iter()
            .filter(|name| !fields.contains_key(**name))
        {
            problems.push(format!("{place}.{name} is missing"));
        }
        for (name, field) in fields {
            let place = format!("{place}.{name}");
            match object.properties.get(name.as_str()) {
                Some(schema) => self.check(schema, field, &place, problems),
                None => problems.push(format!("{place} is not described")),
            }
        }
    }
}

fn is_of(value: &Value, kind: &str) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        _ => false,
    }
}

#[test]
fn finds_wrong_missing_and_undescribed_fields() {
    let schemas = Schemas::read();
    let need = |kind: &str| {
        serde_json::json!({
            "namespace": "space", "kind": kind, "reason": "1 failed", "next": "buildbtw show space",
        })
    };
    assert_eq!(
        schemas.problems("Need", &need("failed")),
        Vec::<String>::new()
    );
    assert_eq!(schemas.problems("Need", &need("bored")).len(), 1);
    let wrong = serde_json::json!({ "name": 7, "scope": "client", "age": 1 });
    let found = schemas.problems("TokenIdentity", &wrong);
    assert_eq!(found.len(), 2, "{found:?}");
    let missing = schemas.problems("TokenIdentity", &serde_json::json!({ "name": "a" }));
    assert_eq!(missing, ["TokenIdentity.scope is missing"]);
    let inner = serde_json::json!({ "needs_me": [need("bored")] });
    let found = schemas.problems("Status", &inner).join("\n");
    assert!(
        found.contains("Status.needs_me[].kind: \"bored\""),
        "{found}"
    );
}
