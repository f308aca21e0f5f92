//! The routes of builds and their logs.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use buildbtw_model::api::{BuildDetail, BuildSummary, Page};
use buildbtw_model::{AttemptId, BuildId, BuildStatus};
use serde_json::{Value, json};

use super::Fake;
use super::replies::ApiResult;

/// The number of the second iteration in addresses.
pub(super) const SECOND: &str = "2";

#[derive(serde::Deserialize)]
pub(super) struct BuildsQuery {
    status: Option<BuildStatus>,
    package: Option<String>,
    prefix: Option<String>,
    limit: usize,
    cursor: Option<usize>,
}

/// Lists the builds. The second iteration lacks the last one, and builds newer commits of the others.
pub(super) async fn builds(
    State(fake): State<Fake>,
    Path((_, number)): Path<(String, String)>,
    Query(query): Query<BuildsQuery>,
) -> ApiResult<Page<BuildSummary>> {
    fake.check()?;
    let mut items = fake.change_without_event(|inner| inner.iteration.builds.clone());
    if number == SECOND {
        items.pop();
        for build in &mut items {
            build.commit = "b".repeat(40).parse().unwrap();
        }
    }
    items.retain(|build| {
        let package = query.package.as_deref();
        query.status.is_none_or(|status| build.status == status)
            && package.is_none_or(|package| build.pkgbase.as_str() == package)
            && build
                .pkgbase
                .as_str()
                .starts_with(query.prefix.as_deref().unwrap_or_default())
    });
    let start = query.cursor.unwrap_or_default().min(items.len());
    let end = items.len().min(start + query.limit);
    let next = (end < items.len()).then(|| end.to_string());
    let items = items.drain(start..end).collect();
    Ok(Json(Page { items, next }))
}

pub(super) async fn build(
    State(fake): State<Fake>,
    Path(id): Path<BuildId>,
) -> ApiResult<BuildDetail> {
    fake.check()?;
    Ok(Json(fake.change_without_event(|inner| {
        BuildDetail {
            summary: inner
                .iteration
                .builds
                .iter()
                .find(|build| build.id == id)
                .unwrap()
                .clone(),
            namespace: "space".parse().unwrap(),
            iteration: 1,
            needs: vec![],
            needed_by: vec![],
            attempts: vec![inner.attempt.clone()],
            packages: vec![],
        }
    })))
}

#[derive(serde::Deserialize)]
pub(super) struct LogQuery {
    offset: usize,
    follow: bool,
}

pub(super) async fn log(
    State(fake): State<Fake>,
    Path(_id): Path<AttemptId>,
    Query(LogQuery { offset, follow }): Query<LogQuery>,
) -> Result<Response, Response> {
    fake.check()?;
    let mut offset = offset;
    Ok(fake.stream(move |inner| {
        let rest = inner.log.get(offset..).unwrap_or_default().to_vec();
        offset += rest.len();
        // An empty chunk would end the stream.
        let over = !follow || inner.attempt.status.is_final();
        (!rest.is_empty() || over).then_some(rest)
    }))
}

/// Returns a build for an architecture that no machine has.
pub(super) async fn inputs(Path(id): Path<AttemptId>) -> Json<Value> {
    Json(json!({
        "number": 2, "status": "failed", "build": {
            "attempt": id, "build": 1, "namespace": "space", "iteration": 1, "pkgbase": "libgreet",
            "architecture": "pdp11", "stage": 1, "pkgrel": "1.1", "version": "2.0-1.1",
            "source": { "clone_url": "http://server/libgreet.git", "commit": "a".repeat(40) },
            "packages": [], "dependencies": [], "sources": [], "repositories": [],
            "source_date_epoch": 1_700_000_000, "timeout_s": 60, "lease_s": 60,
        },
    }))
}
