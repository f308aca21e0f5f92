//! The members of a group. All users have the same role in it.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use serde_json::{Value, json};

use super::errors::{Refusal, authenticate, scope};
use crate::FakeGitlab;

/// Reads a member, also one of a group above.
pub(super) async fn read(
    State(gitlab): State<FakeGitlab>,
    Path((id, user)): Path<(String, u64)>,
    headers: HeaderMap,
) -> Result<Json<Value>, Refusal> {
    let caller = authenticate(&gitlab, &headers)?;
    scope(&caller, &["read_api", "api"])?;
    let role = gitlab.group_role();
    let state = gitlab.state();
    let group = match id.parse::<u64>() {
        Ok(number) => state.groups.get(&number).cloned(),
        Err(_) => state.group_at(&id),
    };
    if group.is_none() {
        return Err(Refusal::not_found("Group"));
    }
    let member = state.users.get(&user).zip(role);
    let (user, role) = member.ok_or_else(|| Refusal::message(404, "404 Not found"))?;
    Ok(Json(json!({
        "id": user.id,
        "username": user.username,
        "name": user.name,
        "state": "active",
        "access_level": role.level(),
    })))
}
