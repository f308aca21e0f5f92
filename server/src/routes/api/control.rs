//! Control of a namespace: cancel, resume, retry, delete.

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use buildbtw_model::NamespaceName;
use buildbtw_model::api::{NamespaceDetail, RetriedBuilds, RetryBuilds};

use crate::address::BaseUrl;
use crate::auth::Identity;
use crate::error::Error;
use crate::routes::extract;
use crate::service::{delete, hold, retry};
use crate::state::AppState;

pub(crate) async fn cancel(
    State(state): State<AppState>,
    server: BaseUrl,
    extract::Path(name): extract::Path<NamespaceName>,
) -> Result<Json<NamespaceDetail>, Error> {
    Ok(Json(
        hold::cancel(state.planning_parts(), &server, &name).await?,
    ))
}

pub(crate) async fn resume(
    State(state): State<AppState>,
    Extension(identity): Extension<Identity>,
    server: BaseUrl,
    extract::Path(name): extract::Path<NamespaceName>,
) -> Result<Json<NamespaceDetail>, Error> {
    Ok(Json(
        hold::resume(state.planning_parts(), identity.caller(), &server, &name).await?,
    ))
}

pub(crate) async fn retry(
    State(state): State<AppState>,
    Extension(identity): Extension<Identity>,
    extract::Path(name): extract::Path<NamespaceName>,
    extract::Json(request): extract::Json<RetryBuilds>,
) -> Result<Json<RetriedBuilds>, Error> {
    Ok(Json(
        retry::retry(state.planning_parts(), identity.caller(), &name, &request).await?,
    ))
}

pub(crate) async fn delete_namespace(
    State(state): State<AppState>,
    extract::Path(name): extract::Path<NamespaceName>,
) -> Result<StatusCode, Error> {
    delete::delete(
        state.deletion_parts(),
        state.announcer(),
        &state.replans,
        &name,
    )
    .await?;
    Ok(StatusCode::NO_CONTENT)
}
