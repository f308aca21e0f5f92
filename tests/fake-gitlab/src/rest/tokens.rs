//! The token of a request, and the server's version.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use serde_json::{Value, json};

use super::errors::{Refusal, authenticate, scope};
use crate::{FakeGitlab, VERSION};

pub(super) async fn own(
    State(gitlab): State<FakeGitlab>,
    headers: HeaderMap,
) -> Result<Json<Value>, Refusal> {
    // No scope is needed for information about the token itself.
    let caller = authenticate(&gitlab, &headers)?;
    let token = &caller.token;
    let expires = token
        .expires_at
        .map(|at| at.to_zoned(jiff::tz::TimeZone::UTC).date().to_string());
    Ok(Json(json!({
        "id": token.id,
        "name": token.name,
        "revoked": token.revoked,
        "active": true,
        "scopes": token.scopes,
        "user_id": token.user,
        "created_at": token.created_at.to_string(),
        "last_used_at": gitlab.clock().now().to_string(),
        "expires_at": expires,
    })))
}

pub(super) async fn user(
    State(gitlab): State<FakeGitlab>,
    headers: HeaderMap,
) -> Result<Json<Value>, Refusal> {
    let caller = authenticate(&gitlab, &headers)?;
    scope(&caller, &["read_user", "read_api", "api"])?;
    Ok(Json(json!({
        "id": caller.user.id,
        "username": caller.user.username,
        "name": caller.user.name,
        "state": "active",
        "is_admin": caller.token.admin,
    })))
}

pub(super) async fn version(
    State(gitlab): State<FakeGitlab>,
    headers: HeaderMap,
) -> Result<Json<Value>, Refusal> {
    let caller = authenticate(&gitlab, &headers)?;
    scope(&caller, &["read_user", "read_api", "api"])?;
    Ok(Json(json!({ "version": VERSION, "revision": "0000000" })))
}
