//! Content of repositories.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::errors::{Refusal, reader};
use super::pages::{Page, api_uri};
use super::projects::find;
use crate::FakeGitlab;
use crate::auth::{MaybeCaller, reads_code};
use crate::repository::CommitInfo;
use crate::state::projects::Project;

/// Checks that the caller can read the code, which not all who see the project can.
fn code_of(who: &MaybeCaller, project: &Project) -> Result<(), Refusal> {
    match reads_code(who, project) {
        true => Ok(()),
        false => Err(Refusal::message(403, "403 Forbidden")),
    }
}

fn commit_entry(gitlab: &FakeGitlab, project: &Project, commit: &CommitInfo) -> Value {
    json!({
        "id": commit.id.to_string(),
        "short_id": commit.short_id(),
        "title": commit.title(),
        "message": commit.message,
        "author_name": commit.author_name,
        "author_email": commit.author_email,
        "authored_date": commit.authored_at.to_string(),
        "committer_name": commit.committer_name,
        "committer_email": commit.committer_email,
        "committed_date": commit.committed_at.to_string(),
        "created_at": commit.committed_at.to_string(),
        "parent_ids": commit.parents.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "web_url": format!("{}/{}/-/commit/{}", gitlab.url(), project.full_path, commit.id),
    })
}

/// The filter of commits.
#[derive(Debug, Deserialize)]
pub(super) struct Commits {
    ref_name: Option<String>,
}

pub(super) async fn commits(
    State(gitlab): State<FakeGitlab>,
    Path(id): Path<String>,
    Query(wanted): Query<Commits>,
    Query(page): Query<Page>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let who = reader(&gitlab, &headers)?;
    let project = find(&gitlab, &who, &id, &uri)?;
    code_of(&who, &project)?;
    let name = wanted.ref_name.as_deref().filter(|name| !name.is_empty());
    let head = project.storage.resolve(&project.default_branch, name)?;
    let Some(head) = head else {
        return match name {
            // The list of an empty repository is empty.
            None => Ok(Json(json!([])).into_response()),
            Some(_) => Err(Refusal::not_found("Commit")),
        };
    };
    let found = project.storage.log(head, None, page.end() + 1)?;
    let rows = found
        .iter()
        .map(|commit| commit_entry(&gitlab, &project, commit));
    Ok(page.respond(gitlab.url(), &api_uri(&uri), rows.collect(), None))
}

pub(super) async fn branch(
    State(gitlab): State<FakeGitlab>,
    Path((id, name)): Path<(String, String)>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Json<Value>, Refusal> {
    let who = reader(&gitlab, &headers)?;
    let project = find(&gitlab, &who, &id, &uri)?;
    code_of(&who, &project)?;
    let full = format!("refs/heads/{name}");
    let head = project
        .storage
        .resolve(&project.default_branch, Some(&full))?;
    let head = head.ok_or_else(|| Refusal::not_found("Branch"))?;
    let commit = project.storage.commit(head)?;
    let is_default = name == project.default_branch;
    Ok(Json(json!({
        "name": name,
        "commit": commit_entry(&gitlab, &project, &commit),
        "merged": false,
        "protected": project.is_protected(&name),
        "default": is_default,
        "can_push": true,
        "developers_can_push": false,
        "developers_can_merge": false,
        "web_url": format!("{}/{}/-/tree/{name}", gitlab.url(), project.full_path),
    })))
}

/// The ref of a requested file.
#[derive(Debug, Deserialize)]
pub(super) struct AtRef {
    #[serde(rename = "ref")]
    name: Option<String>,
}

pub(super) async fn raw_file(
    State(gitlab): State<FakeGitlab>,
    Path((id, path)): Path<(String, String)>,
    Query(at): Query<AtRef>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let who = reader(&gitlab, &headers)?;
    let project = find(&gitlab, &who, &id, &uri)?;
    code_of(&who, &project)?;
    let commit = project
        .storage
        .resolve(&project.default_branch, at.name.as_deref())?;
    let commit = commit.ok_or_else(|| Refusal::not_found("Commit"))?;
    let file = project.storage.file(commit, &path)?;
    let file = file.ok_or_else(|| Refusal::not_found("File"))?;
    let digest: String = Sha256::digest(&file.data)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("x-gitlab-blob-id", file.id.to_string()),
        ("x-gitlab-commit-id", commit.to_string()),
        ("x-gitlab-last-commit-id", commit.to_string()),
        ("x-gitlab-content-sha256", digest),
        ("x-gitlab-size", file.data.len().to_string()),
        ("x-gitlab-file-path", path.escape_default().to_string()),
    ] {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    Ok((headers, file.data).into_response())
}
