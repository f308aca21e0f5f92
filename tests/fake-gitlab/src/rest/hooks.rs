//! Webhooks of the system, of groups and of projects.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use super::errors::{Refusal, authenticate, scope, writer};
use super::input::Input;
use super::pages::{Page, api_uri};
use super::projects::find;
use crate::auth::Caller;
use crate::state::hooks::{Hook, HookId, HookOptions, Owner};
use crate::{Delivery, FakeGitlab};

fn entry(hook: &Hook) -> Value {
    let options = &hook.options;
    // Secrets are write-only.
    json!({
        "id": hook.id.0,
        "url": options.url,
        "push_events": options.push_events,
        "tag_push_events": options.tag_push_events,
        "merge_requests_events": options.merge_requests_events,
        "pipeline_events": options.pipeline_events,
        "job_events": options.job_events,
        "token_present": options.token.is_some(),
        "signing_token_present": options.signing_token.is_some(),
        "alert_status": "executable",
        "disabled_until": null,
    })
}

fn system(gitlab: &FakeGitlab, headers: &HeaderMap) -> Result<Owner, Refusal> {
    let caller = writer(gitlab, headers)?;
    match caller.token.admin {
        true => Ok(Owner::System),
        false => Err(Refusal::message(403, "403 Forbidden")),
    }
}

/// Authenticates a caller that lists hooks, which an anonymous one cannot.
fn lister(gitlab: &FakeGitlab, headers: &HeaderMap) -> Result<Caller, Refusal> {
    let caller = authenticate(gitlab, headers)?;
    scope(&caller, &["read_api", "api"])?;
    Ok(caller)
}

fn group(gitlab: &FakeGitlab, id: &str) -> Result<Owner, Refusal> {
    if !gitlab.has_group_hooks() {
        return Err(Refusal::not_found("Group"));
    }
    let state = gitlab.state();
    let group = match id.parse::<u64>() {
        Ok(number) => state.groups.get(&number).cloned(),
        Err(_) => state.group_at(id),
    };
    let group = group.ok_or_else(|| Refusal::not_found("Group"))?;
    Ok(Owner::Group(group.id))
}

fn project(gitlab: &FakeGitlab, caller: Caller, id: &str, uri: &Uri) -> Result<Owner, Refusal> {
    let project = find(gitlab, &Some(caller), id, uri)?;
    Ok(Owner::Project(project.id.0))
}

fn list(gitlab: &FakeGitlab, owner: Owner, uri: &Uri, page: Page) -> Response {
    let rows: Vec<Value> = gitlab
        .hooks_owned_by(owner)
        .iter()
        .map(|hook| entry(hook))
        .collect();
    let total = rows.len();
    page.respond(gitlab.url(), &api_uri(uri), rows, Some(total))
}

fn create(gitlab: &FakeGitlab, owner: Owner, options: HookOptions) -> Result<Response, Refusal> {
    let id = gitlab
        .insert_hook(owner, options)
        .map_err(|error| Refusal::body(422, json!({ "error": error.to_string() })))?;
    let hook = gitlab.state().hooks.get(&id.0).cloned();
    let hook = hook.ok_or_else(|| Refusal::not_found("Hook"))?;
    Ok((StatusCode::CREATED, Json(entry(&hook))).into_response())
}

fn remove(gitlab: &FakeGitlab, owner: Owner, hook: u64) -> Result<StatusCode, Refusal> {
    let not_found = || Refusal::not_found("Hook");
    if !gitlab
        .hooks_owned_by(owner)
        .iter()
        .any(|own| own.id.0 == hook)
    {
        return Err(not_found());
    }
    gitlab.remove_hook(HookId(hook)).map_err(|_| not_found())?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn list_system(
    State(gitlab): State<FakeGitlab>,
    axum::extract::Query(page): axum::extract::Query<Page>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let owner = system(&gitlab, &headers)?;
    Ok(list(&gitlab, owner, &uri, page))
}

pub(super) async fn create_system(
    State(gitlab): State<FakeGitlab>,
    headers: HeaderMap,
    Input(options): Input<HookOptions>,
) -> Result<Response, Refusal> {
    let owner = system(&gitlab, &headers)?;
    create(&gitlab, owner, options)
}

pub(super) async fn delete_system(
    State(gitlab): State<FakeGitlab>,
    Path(hook): Path<u64>,
    headers: HeaderMap,
) -> Result<StatusCode, Refusal> {
    let owner = system(&gitlab, &headers)?;
    remove(&gitlab, owner, hook)
}

pub(super) async fn list_group(
    State(gitlab): State<FakeGitlab>,
    Path(id): Path<String>,
    axum::extract::Query(page): axum::extract::Query<Page>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    lister(&gitlab, &headers)?;
    let owner = group(&gitlab, &id)?;
    Ok(list(&gitlab, owner, &uri, page))
}

pub(super) async fn create_group(
    State(gitlab): State<FakeGitlab>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Input(options): Input<HookOptions>,
) -> Result<Response, Refusal> {
    writer(&gitlab, &headers)?;
    let owner = group(&gitlab, &id)?;
    create(&gitlab, owner, options)
}

pub(super) async fn list_project(
    State(gitlab): State<FakeGitlab>,
    Path(id): Path<String>,
    axum::extract::Query(page): axum::extract::Query<Page>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let caller = lister(&gitlab, &headers)?;
    let owner = project(&gitlab, caller, &id, &uri)?;
    Ok(list(&gitlab, owner, &uri, page))
}

pub(super) async fn create_project(
    State(gitlab): State<FakeGitlab>,
    Path(id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
    Input(options): Input<HookOptions>,
) -> Result<Response, Refusal> {
    let caller = writer(&gitlab, &headers)?;
    let owner = project(&gitlab, caller, &id, &uri)?;
    create(&gitlab, owner, options)
}

/// Deletes a hook of a project or group.
pub(super) async fn delete_owned(
    State(gitlab): State<FakeGitlab>,
    Path((id, hook)): Path<(String, u64)>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<StatusCode, Refusal> {
    let caller = writer(&gitlab, &headers)?;
    let owner = owner(&gitlab, caller, &id, &uri)?;
    remove(&gitlab, owner, hook)
}

/// Returns the owner that the path of a request names.
fn owner(gitlab: &FakeGitlab, caller: Caller, id: &str, uri: &Uri) -> Result<Owner, Refusal> {
    match uri.path().starts_with("/projects/") {
        true => project(gitlab, caller, id, uri),
        false => group(gitlab, id),
    }
}

/// Lists the deliveries of a hook, newest first.
pub(super) async fn list_events(
    State(gitlab): State<FakeGitlab>,
    Path((id, hook)): Path<(String, u64)>,
    axum::extract::Query(page): axum::extract::Query<Page>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let caller = lister(&gitlab, &headers)?;
    let owner = owner(&gitlab, caller, &id, &uri)?;
    let own = gitlab.hooks_owned_by(owner);
    if !own.iter().any(|own| own.id.0 == hook) {
        return Err(Refusal::not_found("Hook"));
    }
    let deliveries = gitlab.webhooks().deliveries().into_iter().rev();
    let rows: Vec<Value> = deliveries
        .filter(|delivery| delivery.hook == Some(HookId(hook)) && delivery.attempts > 0)
        .map(|delivery| event_entry(&delivery))
        .collect();
    let total = rows.len();
    Ok(page.respond(gitlab.url(), &api_uri(&uri), rows, Some(total)))
}

fn event_entry(delivery: &Delivery) -> Value {
    // `Merge Request Hook` is `merge_request_hooks`.
    let trigger = delivery.event.to_lowercase().replace(' ', "_");
    let status = delivery.status.map(|status| status.to_string());
    json!({
        "id": delivery.id.0,
        "url": delivery.url,
        "trigger": format!("{trigger}s"),
        "response_status": status.as_deref().unwrap_or("internal error"),
        "execution_duration": 0.1,
    })
}
