//! The routes of tokens, and of what was done with them.

use std::collections::HashMap;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use buildbtw_model::api::{
    CreateToken, CreatedToken, Page, TaskOutage, TokenIdentity, TokenSummary,
};
use buildbtw_model::{TokenId, TokenScope};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::Fake;
use super::replies::{ApiResult, authenticated};

pub(super) async fn create_token(
    headers: HeaderMap,
    Json(request): Json<CreateToken>,
) -> ApiResult<CreatedToken> {
    authenticated(&headers)?;
    Ok(Json(CreatedToken {
        summary: TokenSummary {
            id: TokenId(7),
            name: request.name,
            scope: request.scope,
            created_at: Timestamp::UNIX_EPOCH,
            expires_at: None,
            revoked_at: None,
        },
        token: "bbtw_new".into(),
    }))
}

pub(super) async fn outages(
    State(fake): State<Fake>,
    headers: HeaderMap,
) -> ApiResult<Page<TaskOutage>> {
    authenticated(&headers)?;
    Ok(Json(Page {
        items: fake.change_without_event(|inner| inner.outages.clone()),
        next: None,
    }))
}

/// Returns `count` valid tokens of clients.
pub(crate) fn valid_tokens(count: i64) -> Vec<TokenSummary> {
    (1..=count).map(token).collect()
}

fn token(id: i64) -> TokenSummary {
    TokenSummary {
        id: TokenId(id),
        name: format!("token{id}"),
        scope: TokenScope::Client,
        created_at: Timestamp::UNIX_EPOCH,
        expires_at: None,
        revoked_at: None,
    }
}

pub(super) async fn revoke_token(
    headers: HeaderMap,
    Path(id): Path<i64>,
) -> ApiResult<TokenSummary> {
    authenticated(&headers)?;
    Ok(Json(TokenSummary {
        revoked_at: Some(Timestamp::UNIX_EPOCH),
        ..token(id)
    }))
}

pub(super) async fn tokens(
    State(fake): State<Fake>,
    headers: HeaderMap,
) -> ApiResult<Page<TokenSummary>> {
    authenticated(&headers)?;
    Ok(Json(Page {
        items: fake.change_without_event(|inner| inner.tokens.clone()),
        next: None,
    }))
}

/// Lists two activities of `tester` and one of the server, or none of others.
pub(super) async fn activity(Query(query): Query<HashMap<String, String>>) -> Json<Value> {
    let all = json!([
        { "id": 3, "kind": "namespace.deleted", "actor": "tester", "namespace": "old",
          "at": "2026-11-29T10:02:00Z" },
        { "id": 2, "kind": "iteration.done", "namespace": "space", "iteration": 1, "at": "2026-11-29T10:01:00Z" },
        { "id": 1, "kind": "worker.drained", "actor": "tester", "worker": "w1", "message": "new memory",
          "at": "2026-11-29T10:00:00Z" },
    ]);
    let by = query.get("by");
    let is_listed = |item: &&Value| by.is_none_or(|by| item["actor"] == **by);
    let items: Vec<&Value> = all.as_array().unwrap().iter().filter(is_listed).collect();
    Json(json!({ "items": items }))
}

pub(super) async fn identity(headers: HeaderMap) -> Result<Json<TokenIdentity>, Response> {
    authenticated(&headers)?;
    Ok(Json(TokenIdentity {
        name: "tester".into(),
        scope: TokenScope::Client,
    }))
}
