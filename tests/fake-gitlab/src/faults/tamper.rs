//! Changes GraphQL responses.

use serde_json::{Map, Value, json};

use super::{Drift, Fault};

/// Applies faults to a response; to each part of a batch.
pub(crate) fn tamper(response: &mut Value, faults: &[Fault]) {
    if let Value::Array(parts) = response {
        for part in parts {
            tamper(part, faults);
        }
        return;
    }
    for fault in faults {
        match fault {
            Fault::NullField { path, message } => null_field(response, path, message),
            Fault::Drift(drift) => {
                if let Some(data) = response.get_mut("data") {
                    apply_drift(data, drift);
                }
            }
            _ => {}
        }
    }
}

fn null_field(response: &mut Value, path: &str, message: &str) {
    let mut nulled = Vec::new();
    if let Some(data) = response.get_mut("data") {
        let segments: Vec<Segment<'_>> = segments(path);
        null_at(data, &segments, &mut Vec::new(), &mut nulled);
    }
    if nulled.is_empty() {
        return;
    }
    let entries = nulled
        .into_iter()
        .map(|path| json!({ "message": message, "locations": [], "path": path }));
    if let Some(response) = response.as_object_mut() {
        let errors = response.entry("errors").or_insert_with(|| json!([]));
        if let Some(errors) = errors.as_array_mut() {
            errors.extend(entries);
        }
    }
}

#[derive(Clone, Copy)]
enum Segment<'a> {
    Field(&'a str),
    Index(usize),
    Every,
    /// The elements with this text in a field.
    With(&'a str, &'a str),
}

fn segments(path: &str) -> Vec<Segment<'_>> {
    path.split(['.', '['])
        .filter(|part| !part.is_empty())
        .map(|part| match part.strip_suffix(']') {
            Some("*") => Segment::Every,
            Some(element) => match element.split_once('=') {
                Some((field, text)) => Segment::With(field, text),
                None => element.parse().map_or(Segment::Field(part), Segment::Index),
            },
            None => Segment::Field(part),
        })
        .collect()
}

fn null_at(
    value: &mut Value,
    segments: &[Segment<'_>],
    path: &mut Vec<Value>,
    nulled: &mut Vec<Vec<Value>>,
) {
    let Some((first, rest)) = segments.split_first() else {
        *value = Value::Null;
        nulled.push(path.clone());
        return;
    };
    match first {
        Segment::Field(name) => {
            if let Some(value) = value.get_mut(*name) {
                path.push(json!(name));
                null_at(value, rest, path, nulled);
                path.pop();
            }
        }
        Segment::Index(index) => {
            if let Some(value) = value.get_mut(*index) {
                path.push(json!(index));
                null_at(value, rest, path, nulled);
                path.pop();
            }
        }
        Segment::Every | Segment::With(..) => {
            for (index, value) in value.as_array_mut().into_iter().flatten().enumerate() {
                if let Segment::With(field, text) = first
                    && value[*field] != **text
                {
                    continue;
                }
                path.push(json!(index));
                null_at(value, rest, path, nulled);
                path.pop();
            }
        }
    }
}

fn apply_drift(value: &mut Value, drift: &Drift) {
    match value {
        Value::Array(values) => {
            for value in values {
                apply_drift(value, drift);
            }
        }
        Value::Object(object) => {
            for value in object.values_mut() {
                apply_drift(value, drift);
            }
            apply_drift_to_object(object, drift);
        }
        _ => {}
    }
}

fn apply_drift_to_object(object: &mut Map<String, Value>, drift: &Drift) {
    match drift {
        Drift::Omit { field } => {
            object.remove(field);
        }
        Drift::Rename { field, to } => {
            if let Some(value) = object.remove(field) {
                object.insert(to.clone(), value);
            }
        }
        Drift::Replace { field, value } => {
            if let Some(old) = object.get_mut(field) {
                old.clone_from(value);
            }
        }
        Drift::Add {
            sibling,
            field,
            value,
        } => {
            if object.contains_key(sibling) {
                object.insert(field.clone(), value.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nulls_field_at_path() {
        let mut response = json!({"data": {"g": {"nodes": [{"r": 1}, {"r": 2}]}}});
        let fault = Fault::NullField {
            path: "g.nodes[1].r".into(),
            message: "Timeout on Project.r".into(),
        };
        tamper(&mut response, &[fault]);
        assert_eq!(
            response,
            json!({
                "data": {"g": {"nodes": [{"r": 1}, {"r": null}]}},
                "errors": [{
                    "message": "Timeout on Project.r",
                    "locations": [],
                    "path": ["g", "nodes", 1, "r"],
                }],
            })
        );
    }

    #[test]
    fn nulls_field_of_elements_with_text() {
        let mut response = json!({"data": {"nodes": [{"n": "a", "r": 1}, {"n": "b", "r": 2}]}});
        let fault = Fault::NullField {
            path: "nodes[n=b].r".into(),
            message: "Timeout on Project.r".into(),
        };
        tamper(&mut response, &[fault]);
        let nodes = json!([{"n": "a", "r": 1}, {"n": "b", "r": null}]);
        assert_eq!(response["data"]["nodes"], nodes);
        assert_eq!(response["errors"][0]["path"], json!(["nodes", 1, "r"]));
    }

    #[test]
    fn drifts_field_at_every_occurrence() {
        let mut response = json!({"data": [{"a": 1}, {"b": {"a": "X"}}]});
        let drifts = [
            Drift::Rename {
                field: "a".into(),
                to: "c".into(),
            },
            Drift::Replace {
                field: "c".into(),
                value: json!("NEW"),
            },
            Drift::Add {
                sibling: "b".into(),
                field: "d".into(),
                value: json!(0),
            },
        ];
        tamper(&mut response, &drifts.map(Fault::Drift));
        assert_eq!(
            response,
            json!({"data": [{"c": "NEW"}, {"b": {"c": "NEW"}, "d": 0}]})
        );
        let omit = Fault::Drift(Drift::Omit { field: "c".into() });
        tamper(&mut response, &[omit]);
        assert_eq!(response, json!({"data": [{}, {"b": {}, "d": 0}]}));
    }
}
