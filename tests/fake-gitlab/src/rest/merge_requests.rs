//! Lists of merge requests.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};

use super::errors::{Refusal, reader};
use super::pages::{Page, api_uri};
use super::projects::find;
use crate::FakeGitlab;
use crate::state::merge_requests::MergeRequest;

/// The filter of merge requests.
#[derive(Debug, Deserialize)]
pub(super) struct Filter {
    state: Option<String>,
    source_branch: Option<String>,
    target_branch: Option<String>,
}

impl Filter {
    fn matches(&self, row: &MergeRequest) -> bool {
        let is = |wanted: &Option<String>, value: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted == value)
        };
        (self.state.as_deref() == Some("all") || is(&self.state, row.state.name()))
            && is(&self.source_branch, &row.source_branch)
            && is(&self.target_branch, &row.target_branch)
    }
}

fn entry(row: &MergeRequest) -> Value {
    json!({
        "id": row.id,
        "iid": row.iid,
        "project_id": row.project,
        "title": row.title,
        "description": row.description,
        "state": row.state.name(),
        "draft": row.is_draft(),
        "source_branch": row.source_branch,
        "target_branch": row.target_branch,
        "source_project_id": row.source_project,
        "target_project_id": row.project,
        "sha": row.head.to_string(),
        "merge_commit_sha": row.merge_commit.map(|commit| commit.to_string()),
        "merged_at": row.merged_at.map(|at| at.to_string()),
        "created_at": row.created_at.to_string(),
        "updated_at": row.updated_at.to_string(),
    })
}

pub(super) async fn list(
    State(gitlab): State<FakeGitlab>,
    Path(id): Path<String>,
    Query(filter): Query<Filter>,
    Query(page): Query<Page>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let who = reader(&gitlab, &headers)?;
    let project = find(&gitlab, &who, &id, &uri)?;
    let mut rows: Vec<Arc<MergeRequest>> = gitlab
        .state()
        .merge_requests_of(project.id.0)
        .filter(|row| filter.matches(row))
        .cloned()
        .collect();
    rows.reverse();
    let total = rows.len();
    let entry = |row: Arc<MergeRequest>| entry(&row);
    Ok(page.respond_with(gitlab.url(), &api_uri(&uri), rows, Some(total), entry))
}
