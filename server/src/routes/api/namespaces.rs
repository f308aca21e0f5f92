//! `/namespaces` and their iterations.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use buildbtw_model::NamespaceName;
use buildbtw_model::api::{
    CreateIteration, CreateNamespace, IterationDetail, NamespaceDetail, NamespaceSummary, Page,
    PlanFormat, PlanPreview, ProblemKind,
};
use serde::Deserialize;

use crate::address::BaseUrl;
use crate::auth::Identity;
use crate::error::Error;
use crate::routes::{bodies, extract};
use crate::serve::Peer;
use crate::service::create_namespace;
use crate::service::new_iteration::request_iteration;
use crate::service::preview_plan;
use crate::service::read::{iteration, namespaces};
use crate::state::AppState;

#[derive(Deserialize)]
pub(crate) struct PageQuery {
    cursor: Option<String>,
}

pub(crate) async fn list_namespaces(
    State(state): State<AppState>,
    extract::Query(query): extract::Query<PageQuery>,
) -> Result<Json<Page<NamespaceSummary>>, Error> {
    Ok(Json(
        namespaces::list_namespaces(
            &state.database,
            &state.config.network,
            query.cursor.as_deref(),
        )
        .await?,
    ))
}

pub(crate) async fn create_namespace(
    State(state): State<AppState>,
    Extension(identity): Extension<Identity>,
    server: BaseUrl,
    extract::Json(request): extract::Json<CreateNamespace>,
) -> Result<(StatusCode, Json<NamespaceDetail>), Error> {
    let caller = identity.caller();
    let created =
        create_namespace::create_namespace(state.planning_parts(), caller, &server, &request)
            .await?;
    Ok((StatusCode::CREATED, Json(created)))
}

pub(crate) async fn show_namespace(
    State(state): State<AppState>,
    server: BaseUrl,
    extract::Path(name): extract::Path<NamespaceName>,
) -> Result<Json<NamespaceDetail>, Error> {
    Ok(Json(
        namespaces::show_namespace(&state.database, &state.config.network, &server, &name).await?,
    ))
}

pub(crate) async fn show_iteration(
    State(state): State<AppState>,
    server: BaseUrl,
    extract::Path((name, number)): extract::Path<(NamespaceName, String)>,
) -> Result<Json<IterationDetail>, Error> {
    let number = parse_iteration(&number)?;
    Ok(Json(
        iteration::show_iteration(
            &state.database,
            state.pipelines.as_ref(),
            state.disk.current_shortage(),
            &server,
            &name,
            number,
        )
        .await?,
    ))
}

pub(crate) async fn create_iteration(
    State(state): State<AppState>,
    Extension(identity): Extension<Identity>,
    server: BaseUrl,
    extract::Path(name): extract::Path<NamespaceName>,
    extract::Json(request): extract::Json<CreateIteration>,
) -> Result<(StatusCode, Json<IterationDetail>), Error> {
    let caller = identity.caller();
    let newest =
        request_iteration(state.planning_parts(), caller, &server, &name, &request).await?;
    Ok((StatusCode::CREATED, Json(newest)))
}

pub(crate) async fn preview_plan(
    State(state): State<AppState>,
    identity: Option<Extension<Identity>>,
    peer: Option<Extension<Peer>>,
    bodies::AnonymousJson(preview): bodies::AnonymousJson<PlanPreview>,
) -> Result<Response, Error> {
    let content_type = match preview.format {
        PlanFormat::Json => "application/json",
        PlanFormat::Text | PlanFormat::Dot => "text/plain; charset=utf-8",
    };
    let client = identity.filter(|Extension(identity)| identity.is_client());
    let client = client.map(|Extension(identity)| identity.caller());
    let peer = peer.map(|Extension(Peer(peer))| peer.ip());
    let text = preview_plan::preview_plan(
        state.planning_parts(),
        &state.admission,
        client,
        peer,
        &preview,
    )
    .await?;
    Ok(([(header::CONTENT_TYPE, content_type)], text).into_response())
}

/// Parses the number of an iteration, or `current` for the newest.
pub(crate) fn parse_iteration(text: &str) -> Result<Option<u32>, Error> {
    if text == "current" {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| {
        let title = format!("`{text}` is not an iteration: expected a number or `current`");
        Error::refused(ProblemKind::InvalidRequest, title)
    })
}
