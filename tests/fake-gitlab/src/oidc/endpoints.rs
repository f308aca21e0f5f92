//! The published documents with which tokens are verified.

use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::FakeGitlab;

pub(crate) fn router() -> Router<FakeGitlab> {
    Router::new()
        .route("/.well-known/openid-configuration", get(configuration))
        .route("/oauth/discovery/keys", get(keys))
        .route("/-/jwks", get(keys))
}

/// Adds GitLab's cache lifetime of one day.
fn cached(value: Value) -> Response {
    let mut response = Json(value).into_response();
    response.headers_mut().insert(
        CACHE_CONTROL,
        HeaderValue::from_static("max-age=86400, public, must-revalidate"),
    );
    response
}

async fn keys(State(gitlab): State<FakeGitlab>) -> Response {
    cached(gitlab.shared.keys.published())
}

async fn configuration(State(gitlab): State<FakeGitlab>) -> Response {
    let url = gitlab.url();
    cached(json!({
        "issuer": url,
        "authorization_endpoint": format!("{url}/oauth/authorize"),
        "token_endpoint": format!("{url}/oauth/token"),
        "revocation_endpoint": format!("{url}/oauth/revoke"),
        "introspection_endpoint": format!("{url}/oauth/introspect"),
        "userinfo_endpoint": format!("{url}/oauth/userinfo"),
        "jwks_uri": format!("{url}/oauth/discovery/keys"),
        "scopes_supported": ["openid", "profile", "email", "read_api", "api"],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query", "fragment", "form_post"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "claim_types_supported": ["normal"],
        "code_challenge_methods_supported": ["plain", "S256"],
    }))
}
