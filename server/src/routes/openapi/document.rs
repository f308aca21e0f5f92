//! The OpenAPI document: the routes' own descriptions, completed with what all of them share.

use std::collections::HashMap;

use buildbtw_model::TokenScope;
use buildbtw_model::api::{Event, Problem};
use serde_json::{Map, Value, json};
use utoipa::openapi::OpenApi;
use utoipa::{PartialSchema as _, ToSchema};

use crate::request_trace;

use super::examples;
use super::shared::{self, ERRORS, SharedError};

/// The OpenAPI document of a version of the API.
#[derive(Debug)]
pub(crate) struct Document {
    text: String,
    /// The names of the query parameters of each operation: by method in lower case and path below `/api/v1`.
    queries: HashMap<(String, String), Vec<String>>,
}

/// Who may send the requests of a group of routes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Access {
    /// All, without a token.
    Public,
    /// All, with higher limits for this scope.
    PublicOr(TokenScope),
    /// Holders of any token.
    AnyToken,
    /// Holders of a token of one of these scopes, and administrators.
    Token(&'static [TokenScope]),
    /// A job in GitLab, whose ID token is in the body.
    IdToken,
    /// GitLab, which signs its webhooks.
    Signature,
    /// All, beside the API: what monitoring asks for.
    Monitoring,
}

impl Access {
    fn security(self) -> Value {
        let scopes = |scopes: &[TokenScope]| {
            let mut names: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
            names.push(TokenScope::Admin.as_str());
            json!([{ "token": names }])
        };
        match self {
            Self::Public | Self::IdToken | Self::Monitoring => json!([]),
            Self::PublicOr(scope) => json!([{}, { "token": [scope.as_str(), "admin"] }]),
            Self::AnyToken => json!([{ "token": [] }]),
            Self::Token(allowed) => scopes(allowed),
            Self::Signature => json!([{ "webhookSecret": [] }, { "webhookSignature": [] }]),
        }
    }

    /// Returns whether a request may be refused for its token.
    fn has_token(self) -> bool {
        match self {
            Self::Public | Self::Monitoring => false,
            Self::PublicOr(_) | Self::AnyToken | Self::Token(_) => true,
            Self::IdToken | Self::Signature => true,
        }
    }

    /// Returns whether a valid token might not suffice.
    fn has_scope(self) -> bool {
        matches!(self, Self::Token(_))
    }
}

impl Document {
    /// Completes and merges the descriptions of groups of routes.
    pub(crate) fn new(groups: impl IntoIterator<Item = (OpenApi, Access)>) -> Self {
        let mut paths = Map::new();
        let mut schemas = own_schemas();
        for (group, access) in groups {
            // A document is made of texts, lists and maps only, which always serialize.
            let mut group = serde_json::to_value(group).unwrap_or_default();
            for (path, mut item) in take(&mut group, "/paths") {
                for operation in item.as_object_mut().into_iter().flat_map(Map::iter_mut) {
                    complete(&path, operation.0, operation.1, access);
                }
                let known = paths.entry(path).or_insert_with(|| json!({}));
                if let (Some(known), Value::Object(item)) = (known.as_object_mut(), item) {
                    known.extend(item);
                }
            }
            schemas.extend(take(&mut group, "/components/schemas"));
        }
        examples::add(&mut schemas);
        let queries = query_parameters(&paths);
        let mut document = shared::frame(&paths, &schemas);
        add_request_ids(&mut document);
        remove_links(&mut document);
        let text = format!("{document:#}\n");
        Self { text, queries }
    }

    /// Returns the names of the query parameters of an operation, by its method in lower case.
    pub(super) fn query_parameters(&self, method: String, path: &str) -> &[String] {
        let path = path.strip_prefix("/api/v1").unwrap_or(path);
        let key = (method, path.to_owned());
        self.queries
            .get(&key)
            .map(Vec::as_slice)
            .unwrap_or_default()
    }

    /// Returns the document as indented JSON.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

/// Returns the names of the query parameters of all operations.
fn query_parameters(paths: &Map<String, Value>) -> HashMap<(String, String), Vec<String>> {
    let operations = paths.iter().flat_map(|(path, item)| {
        let operations = item.as_object().into_iter().flatten();
        operations.map(move |(method, operation)| (method, path, operation))
    });
    let named = operations.map(|(method, path, operation)| {
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let queries = parameters.filter(|parameter| parameter["in"] == "query");
        let names = queries.filter_map(|parameter| parameter["name"].as_str());
        let names = names.map(ToOwned::to_owned).collect();
        ((method.clone(), path.clone()), names)
    });
    named.collect()
}

/// Removes and returns an object of a description.
fn take(description: &mut Value, pointer: &str) -> Map<String, Value> {
    match description.pointer_mut(pointer).map(Value::take) {
        Some(Value::Object(object)) => object,
        _ => Map::new(),
    }
}

/// Returns the schemas that no body refers to by itself: those of errors and of streams.
fn own_schemas() -> Map<String, Value> {
    let mut schemas = Vec::new();
    Problem::schemas(&mut schemas);
    Event::schemas(&mut schemas);
    schemas.push((Problem::name().into_owned(), Problem::schema()));
    schemas.push((Event::name().into_owned(), Event::schema()));
    let schemas = schemas.into_iter();
    let schemas =
        schemas.map(|(name, schema)| (name, serde_json::to_value(schema).unwrap_or_default()));
    schemas.collect()
}

/// Adds to an operation what all of its kind share.
fn complete(path: &str, method: &str, operation: &mut Value, access: Access) {
    let Some(operation) = operation.as_object_mut() else {
        return;
    };
    operation.insert("security".into(), access.security());
    if matches!(access, Access::Monitoring) {
        operation.insert("servers".into(), shared::servers_of_monitoring());
        return;
    }
    let has_body = operation.contains_key("requestBody");
    let responses = operation.entry("responses").or_insert_with(|| json!({}));
    let Some(responses) = responses.as_object_mut() else {
        return;
    };
    complete_own_errors(responses);
    for error in ERRORS {
        let applies = match error {
            SharedError::Always(_) => true,
            SharedError::WithToken(_) => access.has_token(),
            SharedError::WithScope(_) => access.has_scope(),
            SharedError::WithParameter(_) => path.contains('{'),
            SharedError::WithBody(_) => has_body,
        };
        let (status, name) = error.response();
        if applies && !responses.contains_key(status) {
            let reference = format!("#/components/responses/{name}");
            responses.insert(status.into(), json!({ "$ref": reference }));
        }
    }
    if method == "get" && is_json(responses) {
        add_tag(responses);
        let parameters = operation.entry("parameters").or_insert_with(|| json!([]));
        if let Some(parameters) = parameters.as_array_mut() {
            parameters.push(json!({ "$ref": "#/components/parameters/IfNoneMatch" }));
        }
    }
}

/// Returns whether an operation responds with JSON.
fn is_json(responses: &Map<String, Value>) -> bool {
    let response = responses.get("200");
    response.is_some_and(|response| response.pointer("/content/application~1json").is_some())
}

/// Adds to the errors that an operation describes itself what all errors have.
fn complete_own_errors(responses: &mut Map<String, Value>) {
    for (status, response) in responses.iter_mut() {
        let is_error = status.starts_with('4') || status.starts_with('5');
        if is_error && response.get("content").is_none() {
            response["content"] = shared::problem_content();
        }
        if matches!(status.as_str(), "429" | "503") {
            response["headers"] = shared::retry_headers();
        }
    }
}

/// Describes the tag of a JSON response, as `conditional::tag_json` adds it.
fn add_tag(responses: &mut Map<String, Value>) {
    if let Some(response) = responses.get_mut("200") {
        response["headers"]["ETag"] = json!({ "$ref": "#/components/headers/ETag" });
        response["headers"]["Cache-Control"] =
            json!({ "$ref": "#/components/headers/CacheControl" });
    }
    let unchanged = json!({ "$ref": "#/components/responses/NotModified" });
    responses.insert("304".into(), unchanged);
}

/// Describes the id that every response has.
fn add_request_ids(document: &mut Value) {
    let add = |responses: Option<&mut Value>| {
        let responses = responses.and_then(Value::as_object_mut);
        for (_, response) in responses.into_iter().flatten() {
            // Those that are shared have it where they are described.
            if response.get("$ref").is_none() {
                response["headers"][request_trace::REQUEST_ID] =
                    json!({ "$ref": "#/components/headers/RequestId" });
            }
        }
    };
    add(document.pointer_mut("/components/responses"));
    let paths = document["paths"].as_object_mut();
    let operations = paths.into_iter().flatten();
    let operations = operations.filter_map(|(_, item)| item.as_object_mut());
    for (_, operation) in operations.flatten() {
        add(operation.get_mut("responses"));
    }
}

/// Turns rustdoc's links to types into plain names in all descriptions.
fn remove_links(value: &mut Value) {
    match value {
        Value::Object(object) => {
            for (key, value) in object.iter_mut() {
                match value {
                    Value::String(text) if matches!(&**key, "description" | "summary") => {
                        *text = text.replace("[`", "`").replace("`]", "`");
                    }
                    value => remove_links(value),
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(remove_links),
        _ => {}
    }
}
