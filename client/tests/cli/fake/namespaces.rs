//! The routes of namespaces. Other namespaces than `space` are in the list only.

use std::collections::HashMap;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use buildbtw_model::api::{
    CreateNamespace, EditNamespace, IterationDetail, NamespaceDetail, NamespaceSummary, Page,
    ProblemKind, RetriedBuilds, RetryBuilds, SetPriority,
};
use serde_json::json;

use super::Fake;
use super::builds::SECOND;
use super::inner::from_json;
use super::replies::{ApiResult, authenticated, known, problem};

/// Lists the namespaces, of which the token `tester` created `space`.
pub(super) async fn list(
    State(fake): State<Fake>,
    Query(query): Query<HashMap<String, String>>,
) -> ApiResult<Page<NamespaceSummary>> {
    fake.check()?;
    let by = query.get("created_by");
    let mut items = fake.change_without_event(|inner| {
        let mut items = vec![inner.namespace().summary];
        items.extend(inner.others.iter().cloned());
        items
    });
    items.retain(|item| by.is_none_or(|by| item.created_by.as_ref() == Some(by)));
    Ok(Json(Page { items, next: None }))
}

pub(super) async fn create(
    State(fake): State<Fake>,
    headers: HeaderMap,
    Json(request): Json<CreateNamespace>,
) -> ApiResult<NamespaceDetail> {
    authenticated(&headers)?;
    if request
        .name
        .as_ref()
        .is_some_and(|name| name.as_str() == "taken")
    {
        return Err(problem(409, ProblemKind::AlreadyExists, "taken is taken"));
    }
    Ok(Json(fake.change(|inner| {
        inner.created = Some(request);
        inner.namespace()
    })))
}

/// Retries `libgreet`, which has a newer commit; builds that commit on request. Of other packages with newer commits,
/// the text why they are not built moves the cursor.
pub(super) async fn retry(
    State(fake): State<Fake>,
    headers: HeaderMap,
    Json(request): Json<RetryBuilds>,
) -> ApiResult<RetriedBuilds> {
    authenticated(&headers)?;
    let names = fake.change_without_event(|inner| inner.newer.clone());
    let newer = names
        .iter()
        .map(|name| json!({ "pkgbase": name, "from": "a".repeat(40), "to": "b".repeat(40) }));
    let others = names.iter().skip(1);
    let reasons = others
        .map(|name| json!({ "kind": "other", "text": format!("{name} is broken:\u{1b}[2J") }));
    Ok(Json(from_json(json!({
        "iteration": if request.latest { 2 } else { 1 },
        "builds": [{ "id": 1, "pkgbase": "libgreet", "architecture": "x86_64", "stage": 1 }],
        "newer": newer.collect::<Vec<_>>(),
        "not_built": reasons.collect::<Vec<_>>(),
        "is_new": request.latest,
    }))))
}

pub(super) async fn namespace(
    State(fake): State<Fake>,
    Path(name): Path<String>,
) -> ApiResult<NamespaceDetail> {
    known(&name)?;
    Ok(Json(fake.change_without_event(|inner| inner.namespace())))
}

/// Returns the iteration; it is the second one if that is asked for.
pub(super) async fn iteration(
    State(fake): State<Fake>,
    Path((name, number)): Path<(String, String)>,
) -> ApiResult<IterationDetail> {
    fake.check()?;
    known(&name)?;
    let mut iteration = fake.change_without_event(|inner| inner.iteration.clone());
    if number == SECOND {
        iteration.summary.number = 2;
    }
    Ok(Json(iteration))
}

pub(super) async fn delete(
    State(fake): State<Fake>,
    Path(name): Path<String>,
) -> Result<StatusCode, Response> {
    known(&name)?;
    fake.change(|inner| {
        inner.deleted = true;
        inner.generation += 1;
    });
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn events(
    State(fake): State<Fake>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Response> {
    fake.check()?;
    known(&name)?;
    let last = headers.get("last-event-id");
    let last: Option<usize> = last.map(|id| id.to_str().unwrap().parse().unwrap());
    let mut sent = last.unwrap_or_else(|| fake.change_without_event(|inner| inner.events.len()));
    Ok(fake.stream(move |inner| {
        let event = inner.events.get(sent)?;
        sent += 1;
        let json = serde_json::to_string(event).unwrap();
        Some(format!(": hello\nid: {}\ndata: {json}\n\n", event.id).into_bytes())
    }))
}

pub(super) async fn prioritize(
    State(fake): State<Fake>,
    headers: HeaderMap,
    Json(request): Json<SetPriority>,
) -> ApiResult<NamespaceDetail> {
    authenticated(&headers)?;
    let mut namespace = fake.change_without_event(|inner| inner.namespace());
    namespace.summary.priority = request.priority;
    Ok(Json(namespace))
}

/// Cancels or resumes the namespace, which stays as it is.
pub(super) async fn control(
    State(fake): State<Fake>,
    headers: HeaderMap,
    Path(name): Path<String>,
) -> ApiResult<NamespaceDetail> {
    authenticated(&headers)?;
    known(&name)?;
    Ok(Json(fake.change_without_event(|inner| inner.namespace())))
}

/// Adds origins, with which the second iteration begins.
pub(super) async fn edit(
    State(fake): State<Fake>,
    headers: HeaderMap,
    Path(name): Path<String>,
    Json(request): Json<EditNamespace>,
) -> ApiResult<NamespaceDetail> {
    authenticated(&headers)?;
    known(&name)?;
    let mut namespace = fake.change_without_event(|inner| inner.namespace());
    let priority = request.priority.unwrap_or(namespace.summary.priority);
    namespace.summary.priority = priority;
    if !request.add.is_empty() {
        namespace.summary.iteration.number += 1;
    }
    Ok(Json(namespace))
}

/// Plans the same iteration again.
pub(super) async fn plan(
    State(fake): State<Fake>,
    headers: HeaderMap,
    Path(name): Path<String>,
) -> ApiResult<IterationDetail> {
    authenticated(&headers)?;
    known(&name)?;
    Ok(Json(
        fake.change_without_event(|inner| inner.iteration.clone()),
    ))
}
