//! The GraphQL endpoint: from the bytes of a request to those of the response.

use std::sync::Arc;

use async_graphql::{PathSegment, Request, Variables};
use async_graphql_parser::types::{DocumentOperations, OperationType};
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::complexity::{self, Cost};
use super::nodes::{NO_PERMISSION, RequestContext};
use super::{errors, prepare};
use crate::FakeGitlab;
use crate::auth::MaybeCaller;
use crate::requests::GraphqlFacts;
use crate::rest::insufficient_scope;

/// The maximum length of a query, in characters.
const MAX_TEXT_LENGTH: usize = 10_000;

/// One query of a request.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Query {
    query: Option<String>,
    operation_name: Option<String>,
    variables: Value,
}

/// One query, or several, whose response is a list.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Body {
    Batch(Vec<Query>),
    One(Query),
}

impl Body {
    fn queries(&self) -> &[Query] {
        match self {
            Self::Batch(queries) => queries,
            Self::One(query) => std::slice::from_ref(query),
        }
    }
}

/// Returns the names of the operations in a request, as far as it can be parsed. Anonymous ones are empty.
pub(crate) fn operation_names(body: &[u8]) -> Vec<String> {
    let Ok(body) = serde_json::from_slice::<Body>(body) else {
        return vec![String::new()];
    };
    body.queries().iter().map(operation_name).collect()
}

fn operation_name(query: &Query) -> String {
    if let Some(name) = query
        .operation_name
        .as_ref()
        .filter(|name| !name.is_empty())
    {
        return name.clone();
    }
    let text = query.query.as_deref().unwrap_or_default();
    let document = async_graphql_parser::parse_query(text).ok();
    let name = document.and_then(|document| match document.operations {
        DocumentOperations::Single(_) => None,
        DocumentOperations::Multiple(all) => all.keys().next().map(ToString::to_string),
    });
    name.unwrap_or_default()
}

/// Responds to a request.
pub(crate) async fn endpoint(
    State(gitlab): State<FakeGitlab>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let who = match admit(&gitlab, &headers) {
        Ok(who) => who,
        Err(refusal) => return *refusal,
    };
    let Ok(body) = serde_json::from_slice::<Body>(&body) else {
        return (
            StatusCode::BAD_REQUEST,
            Json(errors::only("Unexpected end of document")),
        )
            .into_response();
    };
    let length: usize = body
        .queries()
        .iter()
        .filter_map(|query| query.query.as_ref())
        .map(|text| text.chars().count())
        .sum();
    if length > MAX_TEXT_LENGTH {
        return (
            StatusCode::UNPROCESSABLE_ENTITY,
            Json(errors::only("Query too large")),
        )
            .into_response();
    }
    // Resolvers read git repositories, which blocks.
    let execution = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Handle::current();
        let mut sum = 0;
        let mut results = Vec::new();
        let refused = refused_batch(&gitlab, &who, body.queries());
        for query in body.queries() {
            if let Some((result, score)) = &refused {
                results.push(result.clone());
                sum = *score;
                continue;
            }
            let (result, score) = runtime.block_on(execute(&gitlab, &who, query));
            results.push(result);
            sum += score;
        }
        let result = match body {
            Body::Batch(_) => Value::Array(results),
            Body::One(_) => results.pop().unwrap_or_default(),
        };
        (result, sum)
    });
    let Ok((result, complexity)) = execution.await else {
        let result = errors::only("Internal server error");
        return (StatusCode::INTERNAL_SERVER_ERROR, Json(result)).into_response();
    };
    let mut response = Json(result).into_response();
    response
        .extensions_mut()
        .insert(GraphqlFacts { complexity });
    response
}

/// Authenticates a request and counts it for the rate limit.
fn admit(gitlab: &FakeGitlab, headers: &HeaderMap) -> Result<MaybeCaller, Box<Response>> {
    let refuse =
        |status: StatusCode, response: Value| Box::new((status, Json(response)).into_response());
    let who = gitlab
        .caller(headers)
        .map_err(|_| refuse(StatusCode::UNAUTHORIZED, errors::only("Invalid token")))?;
    if let Some(caller) = &who {
        let wanted = ["api", "read_api"];
        if !caller.token.has_any(&wanted) {
            return Err(refuse(StatusCode::FORBIDDEN, insufficient_scope(&wanted)));
        }
    }
    Ok(who)
}

/// Rejects a batch whose queries together exceed the limit of a single query.
fn refused_batch(
    gitlab: &FakeGitlab,
    who: &MaybeCaller,
    queries: &[Query],
) -> Option<(Value, u64)> {
    if queries.len() < 2 {
        return None;
    }
    let sum = queries.iter().map(|query| score(gitlab, query)).sum();
    let limit = gitlab.complexity_limit(who);
    let cost = Cost {
        score: sum,
        depth: 0,
    };
    let message = over_limit(cost, limit, who)?;
    Some((errors::only(&message), sum))
}

/// Returns the complexity of a query, or 0 if it cannot be parsed.
fn score(gitlab: &FakeGitlab, query: &Query) -> u64 {
    let text = query.query.as_deref().unwrap_or_default();
    let Ok(mut document) = async_graphql_parser::parse_query(text) else {
        return 0;
    };
    prepare::skip_newer_fields(&mut document);
    let name = query.operation_name.as_deref();
    let name = name.filter(|name| !name.is_empty());
    prepare::operation(&document, name).map_or(0, |operation| {
        let types = &gitlab.shared.graphql.types;
        complexity::cost(types, &document, operation, &query.variables).score
    })
}

/// Executes a query, and returns its complexity as well.
async fn execute(gitlab: &FakeGitlab, who: &MaybeCaller, query: &Query) -> (Value, u64) {
    let text = match query.query.as_deref() {
        Some(text) if !text.trim().is_empty() => text,
        _ => return (errors::only("No query string was present"), 0),
    };
    let mut document = match async_graphql_parser::parse_query(text) {
        Ok(document) => document,
        Err(error) => return (errors::refused(&[error.into()]), 0),
    };
    prepare::skip_newer_fields(&mut document);
    let name = query
        .operation_name
        .as_deref()
        .filter(|name| !name.is_empty());
    let Some(operation) = prepare::operation(&document, name) else {
        let message = match name {
            Some(name) => format!("No operation named \"{name}\""),
            None => "An operation name is required".to_owned(),
        };
        return (errors::only(&message), 0);
    };
    let is_mutation = operation.ty == OperationType::Mutation;
    let schema = &gitlab.shared.graphql;
    let cost = complexity::cost(&schema.types, &document, operation, &query.variables);
    let limit = gitlab.complexity_limit(who);
    if let Some(message) = over_limit(cost, limit, who) {
        return (errors::only(&message), cost.score);
    }
    if is_mutation && !who.as_ref().is_some_and(|caller| caller.token.has("api")) {
        return (errors::only(NO_PERMISSION), cost.score);
    }
    let mut request = Request::new(text).variables(Variables::from_json(query.variables.clone()));
    if let Some(name) = name {
        request = request.operation_name(name);
    }
    request.set_parsed_query(document);
    let request = request.data(RequestContext {
        gitlab: gitlab.clone(),
        who: who.clone(),
        score: cost.score,
        limit,
    });
    let response = schema.executable.execute(request).await;
    (to_json(response), cost.score)
}

fn over_limit(cost: Cost, limit: u64, who: &MaybeCaller) -> Option<String> {
    let deepest = if who.is_some() { 20 } else { 15 };
    let Cost { score, depth } = cost;
    if score > limit {
        Some(format!(
            "Query has complexity of {score}, which exceeds max complexity of {limit}"
        ))
    } else if depth > deepest {
        Some(format!(
            "Query has depth of {depth}, which exceeds max depth of {deepest}"
        ))
    } else {
        None
    }
}

fn to_json(response: async_graphql::Response) -> Value {
    let executed = response.errors.is_empty()
        || response.data != async_graphql::Value::Null
        || response.errors.iter().any(|error| !error.path.is_empty());
    if !executed {
        return errors::refused(&response.errors);
    }
    let mut data = response.data.into_json().unwrap_or_default();
    for error in &response.errors {
        null_parent(&mut data, &error.path);
    }
    let mut result = json!({ "data": data });
    if !response.errors.is_empty() {
        result["errors"] = response.errors.iter().map(errors::entry).collect();
    }
    result
}

/// Replaces the parent of a failed non-null field, which the executor omits, by null.
fn null_parent(data: &mut Value, path: &[PathSegment]) {
    let Some((PathSegment::Field(field), above)) = path.split_last() else {
        return;
    };
    let parent = above.iter().try_fold(data, |value, segment| match segment {
        PathSegment::Field(name) => value.get_mut(name),
        PathSegment::Index(index) => value.get_mut(*index),
    });
    if let Some(parent) = parent
        && parent
            .as_object()
            .is_some_and(|object| !object.contains_key(field))
    {
        *parent = Value::Null;
    }
}

/// The complexity limits of queries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ComplexityLimits {
    pub(crate) anonymous: u64,
    pub(crate) authenticated: u64,
    pub(crate) admin: u64,
}

impl Default for ComplexityLimits {
    fn default() -> Self {
        Self {
            anonymous: 200,
            authenticated: 250,
            admin: 300,
        }
    }
}

impl FakeGitlab {
    fn complexity_limit(&self, who: &MaybeCaller) -> u64 {
        let limits = *crate::lock(&self.shared.complexity_limits);
        match who.as_ref().map(|caller| Arc::clone(&caller.token)) {
            None => limits.anonymous,
            Some(token) if token.admin => limits.admin,
            Some(_) => limits.authenticated,
        }
    }

    /// Sets the complexity limits of queries without and with a token.
    pub fn set_complexity_limits(&self, anonymous: u64, authenticated: u64) {
        *crate::lock(&self.shared.complexity_limits) = ComplexityLimits {
            anonymous,
            authenticated,
            admin: authenticated,
        };
    }
}
