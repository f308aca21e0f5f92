//! The projects of a group.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, Uri};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::Value;

use super::errors::{Refusal, reader};
use super::pages::{Page, api_uri};
use super::projects::entry;
use crate::FakeGitlab;
use crate::auth::sees;
use crate::state::projects::Project;

/// The filter and pagination of projects.
#[derive(Debug, Deserialize)]
pub(super) struct Filter {
    #[serde(default)]
    include_subgroups: bool,
    archived: Option<bool>,
    search: Option<String>,
    order_by: Option<String>,
    sort: Option<String>,
    pagination: Option<String>,
    id_after: Option<u64>,
    id_before: Option<u64>,
    per_page: Option<usize>,
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
    let search = filter.search.as_ref().map(|text| text.to_lowercase());
    let mut rows: Vec<Arc<Project>> = {
        let state = gitlab.state();
        let group = match id.parse::<u64>() {
            Ok(number) => state.groups.get(&number).cloned(),
            Err(_) => state.group_at(&id),
        };
        let group = group.ok_or_else(|| Refusal::not_found("Group"))?;
        let projects = state.projects_of(&group, filter.include_subgroups);
        projects
            .filter(|project| {
                sees(&who, project)
                    && filter
                        .archived
                        .is_none_or(|wanted| wanted == project.archived)
                    && search
                        .as_ref()
                        .is_none_or(|text| project.path().to_lowercase().contains(text))
                    && filter.id_after.is_none_or(|id| project.id.0 > id)
                    && filter.id_before.is_none_or(|id| project.id.0 < id)
            })
            .cloned()
            .collect()
    };
    match filter.order_by.as_deref() {
        Some("id") => rows.sort_by_key(|project| project.id),
        Some("path" | "name") => rows.sort_by_key(|project| project.path().to_lowercase()),
        Some("last_activity_at") => {
            rows.sort_by_key(|project| (project.last_activity_at, project.id));
        }
        _ => rows.sort_by_key(|project| (project.created_at, project.id)),
    }
    let upwards = filter.sort.as_deref() == Some("asc");
    if !upwards {
        rows.reverse();
    }
    if filter.pagination.as_deref() == Some("keyset") {
        return by_key(&gitlab, &filter, &uri, &rows, upwards);
    }
    let total = rows.len();
    let entry = |project: Arc<Project>| entry(&gitlab, &project);
    Ok(page.respond_with(gitlab.url(), &api_uri(&uri), rows, Some(total), entry))
}

/// Returns a page that begins after an id, with a link to the next page only.
fn by_key(
    gitlab: &FakeGitlab,
    filter: &Filter,
    uri: &Uri,
    rows: &[Arc<Project>],
    upwards: bool,
) -> Result<Response, Refusal> {
    if filter
        .order_by
        .as_deref()
        .is_some_and(|order| order != "id")
    {
        let text = "Keyset pagination is not yet available for this type of request";
        return Err(Refusal::error(405, text));
    }
    let size = filter.per_page.unwrap_or(20).clamp(1, 100);
    let shown = &rows[..rows.len().min(size)];
    let entries: Vec<Value> = shown.iter().map(|project| entry(gitlab, project)).collect();
    let mut response = Json(entries).into_response();
    if let (Some(last), true) = (shown.last(), rows.len() > size) {
        let key = if upwards { "id_after" } else { "id_before" };
        let kept = uri.query().unwrap_or_default().split('&').filter(|pair| {
            let name = pair.split('=').next();
            !matches!(name, None | Some("" | "id_after" | "id_before"))
        });
        let mut pairs: Vec<String> = kept.map(str::to_owned).collect();
        pairs.push(format!("{key}={}", last.id));
        let path = api_uri(uri);
        let link = format!(
            "<{}{}?{}>; rel=\"next\"",
            gitlab.url(),
            path.path(),
            pairs.join("&")
        );
        if let Ok(link) = HeaderValue::try_from(link) {
            response.headers_mut().insert("link", link);
        }
    }
    Ok(response)
}
