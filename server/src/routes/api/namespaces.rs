//! `/namespaces` and their iterations.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use buildbtw_model::NamespaceName;
use buildbtw_model::api::{
    CreateNamespace, IterationDetail, NamespaceDetail, NamespaceSummary, Page, ProblemKind,
};
use serde::Deserialize;

use crate::app_state::AppState;
use crate::error::Error;
use crate::routes::extract;
use crate::service::create_namespace;
use crate::service::queries;

#[derive(Deserialize)]
pub(crate) struct PageQuery {
    cursor: Option<String>,
}

pub(crate) async fn list_namespaces(
    State(state): State<AppState>,
    extract::Query(query): extract::Query<PageQuery>,
) -> Result<Json<Page<NamespaceSummary>>, Error> {
    Ok(Json(
        queries::list_namespaces(&state, query.cursor.as_deref()).await?,
    ))
}

pub(crate) async fn create_namespace(
    State(state): State<AppState>,
    extract::Json(request): extract::Json<CreateNamespace>,
) -> Result<(StatusCode, Json<NamespaceDetail>), Error> {
    let name = create_namespace::create_namespace(&state, request).await?;
    Ok((
        StatusCode::CREATED,
        Json(queries::show_namespace(&state, &name).await?),
    ))
}

pub(crate) async fn show_namespace(
    State(state): State<AppState>,
    extract::Path(name): extract::Path<NamespaceName>,
) -> Result<Json<NamespaceDetail>, Error> {
    Ok(Json(queries::show_namespace(&state, &name).await?))
}

pub(crate) async fn show_iteration(
    State(state): State<AppState>,
    extract::Path((name, number)): extract::Path<(NamespaceName, String)>,
) -> Result<Json<IterationDetail>, Error> {
    let number = parse_iteration(&number)?;
    Ok(Json(queries::show_iteration(&state, &name, number).await?))
}

/// The number of an iteration, or `current` for the newest.
pub(crate) fn parse_iteration(text: &str) -> Result<Option<u32>, Error> {
    if text == "current" {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| {
        let title = format!("'{text}' is no iteration: expected a number or 'current'");
        Error::refused(ProblemKind::InvalidRequest, title)
    })
}
