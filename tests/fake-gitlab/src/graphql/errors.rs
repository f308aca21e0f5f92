//! Error messages in GitLab's wording.

use async_graphql::ServerError;
use serde_json::{Value, json};

/// The maximum number of reported validation errors.
const MOST: usize = 5;

/// Returns a response with one error and no data.
pub(crate) fn only(message: &str) -> Value {
    json!({ "errors": [{ "message": message }] })
}

/// Returns the response to an invalid query.
pub(crate) fn refused(errors: &[ServerError]) -> Value {
    let errors: Vec<Value> = errors.iter().take(MOST).map(entry).collect();
    json!({ "errors": errors })
}

/// Converts an error.
pub(crate) fn entry(error: &ServerError) -> Value {
    let locations: Vec<Value> = error
        .locations
        .iter()
        .map(|at| json!({ "line": at.line, "column": at.column }))
        .collect();
    let (message, extensions) = gitlab_message(&error.message);
    let mut entry = json!({ "message": message, "locations": locations });
    if !error.path.is_empty() {
        entry["path"] = serde_json::to_value(&error.path).unwrap_or_default();
    }
    if let Some(extensions) = extensions {
        entry["extensions"] = extensions;
    }
    entry
}

/// Converts the validation messages of our library to those of GitLab's.
fn gitlab_message(message: &str) -> (String, Option<Value>) {
    let quoted: Vec<&str> = message.split('"').skip(1).step_by(2).collect();
    match quoted.as_slice() {
        [field, ty] if message.starts_with("Unknown field ") => (
            format!("Field '{field}' doesn't exist on type '{ty}'"),
            Some(json!({ "code": "undefinedField", "typeName": ty, "fieldName": field })),
        ),
        [argument, field, ty] if message.starts_with("Unknown argument ") => (
            format!("Field '{field}' doesn't accept argument '{argument}'"),
            Some(json!({
                "code": "argumentNotAccepted",
                "name": field,
                "typeName": "Field",
                "argumentName": argument,
                "parentTypeName": ty,
            })),
        ),
        [field, argument, ..] if message.contains("is required but not provided") => (
            format!("Field '{field}' is missing required arguments: {argument}"),
            Some(json!({
                "code": "missingRequiredArguments",
                "className": "Field",
                "name": field,
                "arguments": argument,
            })),
        ),
        [field, ty] if message.contains("must have a selection of subfields") => (
            format!(
                "Field must have selections (field '{field}' returns {ty} but has no selections. \
                 Did you mean '{field} {{ ... }}'?)"
            ),
            Some(json!({
                "code": "selectionMismatch",
                "nodeName": format!("field '{field}'"),
                "typeName": ty,
            })),
        ),
        [directive] if message.starts_with("Unknown directive ") => (
            format!("Directive @{directive} is not defined"),
            Some(json!({ "code": "undefinedDirective", "directiveName": directive })),
        ),
        _ => (message.to_owned(), None),
    }
}
