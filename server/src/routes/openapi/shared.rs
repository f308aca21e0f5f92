//! What all operations of the OpenAPI document share: errors, headers, parameters and kinds of tokens.

use serde_json::{Map, Value, json};

/// An error that many operations have, with its status and its name in the document.
pub(super) enum SharedError {
    /// Every operation.
    Always((&'static str, &'static str)),
    /// Operations that check a token.
    WithToken((&'static str, &'static str)),
    /// Operations that need a scope.
    WithScope((&'static str, &'static str)),
    /// Operations on one resource.
    WithParameter((&'static str, &'static str)),
    /// Operations with a body.
    WithBody((&'static str, &'static str)),
}

impl SharedError {
    /// Returns the status and the name.
    pub(super) fn response(&self) -> (&'static str, &'static str) {
        match self {
            Self::Always(response)
            | Self::WithToken(response)
            | Self::WithScope(response)
            | Self::WithParameter(response)
            | Self::WithBody(response) => *response,
        }
    }
}

/// The shared errors.
pub(super) const ERRORS: &[SharedError] = &[
    SharedError::Always(("400", "InvalidRequest")),
    SharedError::WithToken(("401", "Unauthenticated")),
    SharedError::WithScope(("403", "Forbidden")),
    SharedError::WithParameter(("404", "NotFound")),
    SharedError::WithBody(("408", "TimedOut")),
    SharedError::WithBody(("413", "TooLarge")),
    SharedError::Always(("429", "TooManyRequests")),
    SharedError::Always(("500", "Internal")),
    SharedError::Always(("503", "Unavailable")),
];

const ABOUT: &str = "\
Rebuilds packages and everything that depends on them, and publishes the result as pacman repositories.\n\n\
* **Errors** are problem details (RFC 9457). Programs decide by `type`; `hint` says what to do next.\n\
* **Lists** are pages: pass `next` as `cursor` to get the next one. A cursor is opaque and belongs to its list.\n\
* **Tags**: every JSON response to GET has an `ETag`. Send it as `If-None-Match` to get 304 while nothing changed.\n\
* **Streams** are server-sent events. Each event has an `id`; send the last one as `Last-Event-ID` to continue.\n\
* **Traces**: every response has an `x-request-id`, which log lines have, too. Send a `traceparent` to choose it.\n\
* **Tokens** are sent as `Authorization: Bearer …`. Reading needs none. Scope `admin` allows everything.\n\
* **Versions**: programs send the versions of the API that they have as `buildbtw-api`, for example `2` or `1-2`, and \
  responses have those of the server. Without the header, version 1 is assumed.\n\
* Unknown fields and parameters of requests are refused. Responses may get new fields; ignore unknown ones.";

/// Returns the document around the paths and schemas.
pub(super) fn frame(paths: &Map<String, Value>, schemas: &Map<String, Value>) -> Value {
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "buildbtw",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        // Relative to this document, so that it holds behind a proxy and below a path.
        "servers": [{ "url": "../v1", "description": "This server" }],
        "tags": tags(),
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": responses(),
            "headers": headers(),
            "parameters": {
                "IfNoneMatch": {
                    "name": "If-None-Match",
                    "in": "header",
                    "description": "The `ETag` of the response that the client has",
                    "schema": { "type": "string" },
                    "example": "\"5d41402abc4b2a76b9719d911017c592\"",
                },
            },
            "securitySchemes": security_schemes(),
        },
    })
}

/// Returns where the paths for monitoring are: beside `/api`.
pub(super) fn servers_of_monitoring() -> Value {
    json!([{ "url": "../..", "description": "This server, outside of the API" }])
}

fn security_schemes() -> Value {
    json!({
        "token": {
            "type": "http",
            "scheme": "bearer",
            "description": "A token of `buildbtw token create`, or the one of an attempt",
        },
        "webhookSecret": {
            "type": "apiKey",
            "in": "header",
            "name": "X-Gitlab-Token",
            "description": "The secret of GitLab's webhook",
        },
        "webhookSignature": {
            "type": "apiKey",
            "in": "header",
            "name": "webhook-signature",
            "description": "The signature of a webhook with a signing token (Standard Webhooks)",
        },
    })
}

fn tags() -> Value {
    let tags = [
        ("namespaces", "Isolated rebuilds, and their plans"),
        ("iterations", "Plans of a namespace at fixed commits"),
        (
            "builds",
            "One source package of an iteration, and its attempts",
        ),
        ("streams", "Server-sent events, and logs while they grow"),
        ("workers", "The machines that build"),
        ("sources", "The source repositories"),
        ("tokens", "Who may do what"),
        ("builders", "The protocol of workers and of jobs in GitLab"),
        ("service", "The server itself"),
    ];
    let tags = tags.map(|(name, description)| json!({ "name": name, "description": description }));
    Value::Array(tags.into())
}

/// Returns the content of a response with a problem.
pub(super) fn problem_content() -> Value {
    json!({
        "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } }
    })
}

/// Returns the headers of a response after which the request may be repeated.
pub(super) fn retry_headers() -> Value {
    json!({ "Retry-After": { "$ref": "#/components/headers/RetryAfter" } })
}

fn problem(kind: &str, status: u16, title: &str, hint: &str) -> Value {
    let example = json!({ "type": kind, "title": title, "status": status, "hint": hint });
    let mut content = problem_content();
    content["application/problem+json"]["example"] = example;
    content
}

/// Returns the responses that many operations have.
fn responses() -> Map<String, Value> {
    let parts = [refusals(), failures()].into_iter();
    let parts = parts.filter_map(|part| match part {
        Value::Object(part) => Some(part),
        _ => None,
    });
    parts.flatten().collect()
}

/// Returns the responses that depend on what is asked for.
fn refusals() -> Value {
    json!({
        "NotModified": {
            "description": "The client has the current response",
            "headers": { "ETag": { "$ref": "#/components/headers/ETag" } },
        },
        "InvalidRequest": {
            "description": "The request is malformed or violates a rule",
            "content": problem("invalid-request", 400, "the request body is invalid",
                "all fields are described at /api"),
        },
        "Unauthenticated": {
            "description": "The token is missing, unknown, expired or revoked",
            "headers": { "WWW-Authenticate": { "$ref": "#/components/headers/WwwAuthenticate" } },
            "content": problem("unauthenticated", 401, "the token is unknown, expired or revoked",
                "`buildbtw login` stores another one"),
        },
        "Forbidden": {
            "description": "The scope of the token does not allow this",
            "content": problem("forbidden", 403,
                "this requires a token of scope `client`; yours has scope `worker`",
                "an administrator can create one with `buildbtw token create --scope client`"),
        },
        "NotFound": {
            "description": "The resource does not exist",
            "content": problem("not-found", 404, "namespace `nosuch` not found",
                "`buildbtw list` lists all namespaces"),
        },
    })
}

/// Returns the responses that depend on limits, the network and the state of the server.
fn failures() -> Value {
    json!({
        "TimedOut": {
            "description": "The body did not arrive in time",
            "content": problem("invalid-request", 408, "receiving the request body timed out",
                "send it again"),
        },
        "TooLarge": {
            "description": "The body is larger than allowed",
            "content": problem("too-large", 413, "the request body is too large", "send less at once"),
        },
        "TooManyRequests": {
            "description": "A limit of the address was exceeded",
            "headers": retry_headers(),
            "content": problem("too-many-requests", 429, "too many requests from this address",
                "try again later"),
        },
        "Internal": {
            "description": "A fault of the server",
            "content": problem("internal", 500, "internal server error",
                "the server's log has the cause"),
        },
        "Unavailable": {
            "description": "Something that the server needs is temporarily unavailable",
            "headers": retry_headers(),
            "content": problem("unavailable", 503, "the server's database is busy",
                "nothing was changed; try again later"),
        },
    })
}

fn headers() -> Value {
    let text = |description: &str, example: &str| {
        json!({
            "description": description,
            "schema": { "type": "string" },
            "example": example,
        })
    };
    json!({
        "ETag": text("Identifies this content, for `If-None-Match`", "\"5d41402abc4b2a76b9719d911017c592\""),
        "CacheControl": text("Whether caches have to revalidate", "private, no-cache"),
        "RetryAfter": {
            "description": "Seconds until a repetition may succeed",
            "schema": { "type": "integer", "minimum": 0 },
            "example": 5,
        },
        "WwwAuthenticate": text("How to authenticate", "Bearer"),
        "RequestId": {
            "description": "The trace of the request, as log lines of the server name it: the trace id of the request's \
                `traceparent`, or a new one",
            "required": true,
            "schema": { "type": "string", "pattern": "^[0-9a-f]{32}$" },
            "example": "0af7651916cd43dd8448eb211c80319c",
        },
    })
}
