//! Notes of merge requests.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::entries;
use super::errors::{Refusal, reader};
use super::input::Input;
use super::pages::{Page, api_uri};
use super::pipelines::{forbidden, member};
use super::projects::find;
use crate::FakeGitlab;
use crate::state::notes::Note;
use crate::state::projects::Project;
use crate::state::roles::Role;

fn check_merge_request(gitlab: &FakeGitlab, project: &Project, iid: u64) -> Result<u64, Refusal> {
    let state = gitlab.state();
    let row = state.merge_requests.get(&(project.id.0, iid));
    row.map(|row| row.id)
        .ok_or_else(|| Refusal::message(404, "404 Not found"))
}

fn entry(gitlab: &FakeGitlab, merge_request: u64, note: &Note) -> Value {
    json!({
        "id": note.id,
        "type": null,
        "body": note.body,
        "author": entries::user(gitlab, &gitlab.state(), note.author),
        "created_at": note.created_at.to_string(),
        "updated_at": note.updated_at.to_string(),
        "system": false,
        "noteable_id": merge_request,
        "noteable_type": "MergeRequest",
        "noteable_iid": note.merge_request,
        "project_id": note.project,
        "resolvable": false,
        "confidential": note.internal,
        "internal": note.internal,
    })
}

/// The content of a note.
#[derive(Debug, Deserialize)]
pub(super) struct Body {
    body: Option<String>,
    #[serde(default)]
    internal: bool,
}

impl Body {
    fn text(&self) -> Result<&str, Refusal> {
        let body = self.body.as_deref().filter(|body| !body.is_empty());
        body.ok_or_else(|| Refusal::error(400, "body is missing"))
    }
}

pub(super) async fn create(
    State(gitlab): State<FakeGitlab>,
    Path((id, iid)): Path<(String, u64)>,
    uri: Uri,
    headers: HeaderMap,
    Input(body): Input<Body>,
) -> Result<Response, Refusal> {
    let (caller, project) = member(&gitlab, &headers, &id, &uri, Role::Reporter)?;
    let merge_request = check_merge_request(&gitlab, &project, iid)?;
    let now = gitlab.clock().now();
    let note = {
        let mut state = gitlab.state();
        let note = Arc::new(Note {
            id: state.next_id(),
            project: project.id.0,
            merge_request: iid,
            author: caller.user.id,
            body: body.text()?.to_owned(),
            internal: body.internal,
            created_at: now,
            updated_at: now,
        });
        state.notes.insert(note.id, Arc::clone(&note));
        note
    };
    let entry = entry(&gitlab, merge_request, &note);
    Ok((StatusCode::CREATED, Json(entry)).into_response())
}

pub(super) async fn update(
    State(gitlab): State<FakeGitlab>,
    Path((id, iid, note)): Path<(String, u64, u64)>,
    uri: Uri,
    headers: HeaderMap,
    Input(body): Input<Body>,
) -> Result<Json<Value>, Refusal> {
    let (caller, project) = member(&gitlab, &headers, &id, &uri, Role::Reporter)?;
    let merge_request = check_merge_request(&gitlab, &project, iid)?;
    let now = gitlab.clock().now();
    let note = {
        let mut state = gitlab.state();
        let row = state.notes.get_mut(&note);
        let row = row.filter(|row| row.project == project.id.0 && row.merge_request == iid);
        let row = row.ok_or_else(|| Refusal::message(404, "404 Not found"))?;
        if row.author != caller.user.id {
            return Err(forbidden());
        }
        let changed = Arc::make_mut(row);
        changed.body = body.text()?.to_owned();
        changed.updated_at = now;
        Arc::clone(row)
    };
    Ok(Json(entry(&gitlab, merge_request, &note)))
}

/// The requested order of notes.
#[derive(Debug, Deserialize)]
pub(super) struct Order {
    sort: Option<String>,
}

pub(super) async fn list(
    State(gitlab): State<FakeGitlab>,
    Path((id, iid)): Path<(String, u64)>,
    Query(order): Query<Order>,
    Query(page): Query<Page>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let who = reader(&gitlab, &headers)?;
    let project = find(&gitlab, &who, &id, &uri)?;
    let merge_request = check_merge_request(&gitlab, &project, iid)?;
    let mut rows: Vec<Arc<Note>> = gitlab
        .state()
        .notes
        .values()
        .filter(|note| note.project == project.id.0 && note.merge_request == iid)
        .cloned()
        .collect();
    if order.sort.as_deref() != Some("asc") {
        rows.reverse();
    }
    let total = rows.len();
    let entry = |note: Arc<Note>| entry(&gitlab, merge_request, &note);
    Ok(page.respond_with(gitlab.url(), &api_uri(&uri), rows, Some(total), entry))
}
