//! The middleware: request log, rate limits, faults, and common headers.

use std::fmt;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, DATE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use futures_util::stream;
use tower::ServiceExt as _;

use crate::actions::hooks::new_uuid;
use crate::clock::http_date;
use crate::faults::limits::Standing;
use crate::faults::{Fault, RequestInfo, tamper};
use crate::requests::{GraphqlFacts, RequestRecord};
use crate::{FakeGitlab, graphql};

/// Tells the server to close the connection without a response.
#[derive(Debug)]
pub(crate) struct CloseConnection;

impl fmt::Display for CloseConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cut off on purpose")
    }
}

impl std::error::Error for CloseConnection {}

/// Larger than any request to an API.
const MAX_API_BODY: usize = 16 * 1024 * 1024;

/// Responds to a request, or fails as configured.
pub(crate) async fn handle(
    router: Router,
    gitlab: FakeGitlab,
    request: Request<Body>,
) -> Result<Response<Body>, CloseConnection> {
    // Requests on open connections must fail as well.
    if gitlab.faults().is_down() {
        return Err(CloseConnection);
    }
    let mut record = RequestRecord {
        at: gitlab.clock().now(),
        method: request.method().to_string(),
        path: request.uri().to_string(),
        operation: None,
        variables: None,
        complexity: None,
        status: None,
        response_bytes: None,
    };
    let outcome = respond(router, &gitlab, request, &mut record).await;
    if let Ok(response) = &outcome {
        record.status = Some(response.status().as_u16());
        if let Some(facts) = response.extensions().get::<GraphqlFacts>() {
            record.complexity = Some(facts.complexity);
        }
        if record.response_bytes.is_none() {
            record.response_bytes = exact_size(response);
        }
    }
    gitlab.shared.requests.add(record);
    outcome
}

async fn respond(
    router: Router,
    gitlab: &FakeGitlab,
    request: Request<Body>,
    record: &mut RequestRecord,
) -> Result<Response<Body>, CloseConnection> {
    let request = read_operations(request, record).await?;
    let path = request.uri().path().to_owned();
    let operations: Option<Vec<String>> = record
        .operation
        .as_ref()
        .map(|names| names.split(',').map(str::to_owned).collect());
    let faults = gitlab.faults().choose(&RequestInfo {
        method: &record.method,
        path: &path,
        operations: operations.as_deref(),
        is_git: path.contains(".git/"),
    });
    for fault in &faults {
        match fault {
            Fault::Latency(duration) => tokio::time::sleep(*duration).await,
            Fault::DropBeforeResponse => return Err(CloseConnection),
            _ => {}
        }
    }
    let now = gitlab.clock().now();
    let standing = match is_api(&path) {
        true => gitlab
            .shared
            .limits
            .count(rate_limit_key(request.headers()), now),
        false => None,
    };
    let mut response = match instead(&faults, now) {
        Some(response) => response,
        None if standing.is_some_and(|standing| standing.is_over()) => retry_later(),
        None => {
            let response = router.oneshot(request).await;
            response.map_err(|never: std::convert::Infallible| match never {})?
        }
    };
    for fault in &faults {
        match fault {
            Fault::SlowResponse(pause) => {
                tokio::time::sleep(*pause).await;
            }
            Fault::LoseResponse => {
                // A streamed request has to be processed completely, too.
                let _ = axum::body::to_bytes(response.into_body(), usize::MAX).await;
                return Err(CloseConnection);
            }
            Fault::NullField { .. } | Fault::Drift(_) if operations.is_some() => {
                response = tampered(response, &faults).await?;
                break;
            }
            _ => {}
        }
    }
    if let Some(standing) = standing {
        add_headers(response.headers_mut(), standing.headers());
    }
    let headers = response.headers_mut();
    if let Ok(date) = HeaderValue::from_str(&http_date(now)) {
        headers.insert(DATE, date);
    }
    if let Ok(id) = HeaderValue::from_str(&new_uuid().simple().to_string()) {
        headers.insert("x-request-id", id);
    }
    if faults
        .iter()
        .any(|fault| matches!(fault, Fault::DropInBody))
    {
        record.response_bytes = exact_size(&response);
        response = truncate_body(response).await?;
    }
    Ok(response)
}

fn is_api(path: &str) -> bool {
    path.starts_with("/api/")
}

/// Returns the key of the rate limit: the token as it was sent.
fn rate_limit_key(headers: &HeaderMap) -> &str {
    headers
        .get("private-token")
        .or_else(|| headers.get("authorization"))
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

/// Records the operations of a GraphQL request, which requires reading its body.
async fn read_operations(
    request: Request<Body>,
    record: &mut RequestRecord,
) -> Result<Request<Body>, CloseConnection> {
    if request.uri().path() != "/api/graphql" {
        return Ok(request);
    }
    let (parts, body) = request.into_parts();
    // A client that does not finish its request gets no response.
    let bytes = axum::body::to_bytes(body, MAX_API_BODY)
        .await
        .map_err(|_| CloseConnection)?;
    record.operation = Some(graphql::operation_names(&bytes).join(","));
    record.variables =
        serde_json::from_slice(&bytes)
            .ok()
            .and_then(|mut body: serde_json::Value| {
                body.get_mut("variables").map(serde_json::Value::take)
            });
    Ok(Request::from_parts(parts, Body::from(bytes)))
}

fn instead(faults: &[Fault], now: jiff::Timestamp) -> Option<Response<Body>> {
    faults.iter().find_map(|fault| match fault {
        Fault::Respond {
            status,
            headers,
            body,
        } => {
            let mut response = Response::new(Body::from(body.clone()));
            *response.status_mut() = StatusCode::from_u16(*status).unwrap_or_default();
            add_headers(response.headers_mut(), headers.clone());
            Some(response)
        }
        Fault::RateLimited { retry_after } => {
            let mut response = retry_later();
            let headers = Standing::exceeded(now, *retry_after).headers();
            add_headers(response.headers_mut(), headers);
            Some(response)
        }
        _ => None,
    })
}

fn retry_later() -> Response<Body> {
    let mut response = Response::new(Body::from("Retry later\n"));
    *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}

fn add_headers(headers: &mut HeaderMap, more: Vec<(String, String)>) {
    for (name, value) in more {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse()) {
            headers.insert(name, value);
        }
    }
}

async fn tampered(
    response: Response<Body>,
    faults: &[Fault],
) -> Result<Response<Body>, CloseConnection> {
    let (mut parts, bytes) = whole(response).await?;
    let Ok(mut value) = serde_json::from_slice(&bytes) else {
        return Ok(Response::from_parts(parts, Body::from(bytes)));
    };
    tamper::tamper(&mut value, faults);
    parts.headers.remove(CONTENT_LENGTH);
    Ok(Response::from_parts(parts, Body::from(value.to_string())))
}

/// Announces the whole body and sends half of it.
async fn truncate_body(response: Response<Body>) -> Result<Response<Body>, CloseConnection> {
    let (mut parts, mut bytes) = whole(response).await?;
    parts
        .headers
        .insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
    bytes.truncate(bytes.len() / 2);
    // The pause ensures that the first part is sent before the connection is closed.
    let chunks = stream::unfold(Some(bytes), |state| async move {
        match state {
            Some(bytes) if !bytes.is_empty() => Some((Ok(bytes), Some(Bytes::new()))),
            Some(_) => {
                tokio::task::yield_now().await;
                Some((Err(CloseConnection), None))
            }
            None => None,
        }
    });
    Ok(Response::from_parts(parts, Body::from_stream(chunks)))
}

async fn whole(
    response: Response<Body>,
) -> Result<(axum::http::response::Parts, Bytes), CloseConnection> {
    let (parts, body) = response.into_parts();
    let bytes = axum::body::to_bytes(body, usize::MAX)
        .await
        .map_err(|_| CloseConnection)?;
    Ok((parts, bytes))
}

fn exact_size(response: &Response<Body>) -> Option<u64> {
    hyper::body::Body::size_hint(response.body()).exact()
}
