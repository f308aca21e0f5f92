//! Control of a namespace: edit, cancel, resume, retry, prioritize, delete.

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use buildbtw_model::NamespaceName;
use buildbtw_model::api::{
    EditNamespace, NamespaceDetail, RetriedBuilds, RetryBuilds, SetPriority,
};

use crate::address::BaseUrl;
use crate::auth::Identity;
use crate::error::Error;
use crate::routes::extract;
use crate::service::{delete, edit_namespace, hold, prioritize, retry};
use crate::state::AppState;

/// Cancels the builds of a namespace and holds it.
#[utoipa::path(
    post,
    path = "/namespaces/{name}/cancel",
    tag = "namespaces",
    params(("name" = NamespaceName, Path, description = "The namespace")),
    responses((status = 200, description = "The namespace, now held", body = NamespaceDetail))
)]
pub(crate) async fn cancel(
    State(state): State<AppState>,
    Extension(identity): Extension<Identity>,
    server: BaseUrl,
    extract::Path(name): extract::Path<NamespaceName>,
    extract::NoBody: extract::NoBody,
) -> Result<Json<NamespaceDetail>, Error> {
    let by = identity.principal();
    Ok(Json(
        hold::cancel(state.planning_parts(), &by, &server, &name).await?,
    ))
}

/// Resumes a cancelled namespace.
#[utoipa::path(
    post,
    path = "/namespaces/{name}/resume",
    tag = "namespaces",
    params(("name" = NamespaceName, Path, description = "The namespace")),
    responses(
        (status = 200, description = "The namespace, no longer held", body = NamespaceDetail),
        (status = 409, description = "Its state does not allow this"),
        (status = 422, description = "Its sources have changed, and a new iteration cannot be planned"),
    )
)]
pub(crate) async fn resume(
    State(state): State<AppState>,
    Extension(identity): Extension<Identity>,
    server: BaseUrl,
    extract::Path(name): extract::Path<NamespaceName>,
    extract::NoBody: extract::NoBody,
) -> Result<Json<NamespaceDetail>, Error> {
    let by = identity.principal();
    Ok(Json(
        hold::resume(state.planning_parts(), &by, &server, &name).await?,
    ))
}

/// Retries failed builds of the newest iteration.
#[utoipa::path(
    post,
    path = "/namespaces/{name}/retry",
    tag = "namespaces",
    params(("name" = NamespaceName, Path, description = "The namespace")),
    request_body = RetryBuilds,
    responses(
        (status = 200, description = "The builds that are retried", body = RetriedBuilds),
        (status = 409, description = "Its state does not allow this"),
        (status = 422, description = "A pkgbase is unknown, or a new iteration cannot be planned"),
        (status = 503, description = "The disk is below its reserve, or something else is temporarily unavailable"),
    )
)]
pub(crate) async fn retry(
    State(state): State<AppState>,
    Extension(identity): Extension<Identity>,
    extract::Path(name): extract::Path<NamespaceName>,
    extract::Json(request): extract::Json<RetryBuilds>,
) -> Result<Json<RetriedBuilds>, Error> {
    let by = identity.principal();
    Ok(Json(
        retry::retry(state.planning_parts(), &by, &name, &request).await?,
    ))
}

/// Changes what a namespace rebuilds, and plans a new iteration of it.
#[utoipa::path(
    patch,
    path = "/namespaces/{name}",
    tag = "namespaces",
    params(("name" = NamespaceName, Path, description = "The namespace")),
    request_body = EditNamespace,
    responses(
        (status = 200, description = "The namespace", body = NamespaceDetail),
        (status = 409, description = "The namespace is held, or a plan of it is being made"),
        (status = 422, description = "An origin is unknown or broken, or the plan is too large or has a cycle"),
        (status = 503, description = "The disk is below its reserve, or something else is temporarily unavailable"),
    )
)]
pub(crate) async fn edit_namespace(
    State(state): State<AppState>,
    Extension(identity): Extension<Identity>,
    server: BaseUrl,
    extract::Path(name): extract::Path<NamespaceName>,
    extract::Json(request): extract::Json<EditNamespace>,
) -> Result<Json<NamespaceDetail>, Error> {
    let by = identity.principal();
    let parts = state.planning_parts();
    Ok(Json(
        edit_namespace::edit_namespace(parts, &by, &server, &name, &request).await?,
    ))
}

/// Changes which builds are dispatched first.
#[utoipa::path(
    put,
    path = "/namespaces/{name}/priority",
    tag = "namespaces",
    params(("name" = NamespaceName, Path, description = "The namespace")),
    request_body = SetPriority,
    responses((status = 200, description = "The namespace", body = NamespaceDetail))
)]
pub(crate) async fn prioritize(
    State(state): State<AppState>,
    Extension(identity): Extension<Identity>,
    server: BaseUrl,
    extract::Path(name): extract::Path<NamespaceName>,
    extract::Json(request): extract::Json<SetPriority>,
) -> Result<Json<NamespaceDetail>, Error> {
    let by = identity.principal();
    Ok(Json(
        prioritize::prioritize(state.planning_parts(), &by, &server, &name, &request).await?,
    ))
}

/// Removes a namespace with its repositories and logs.
#[utoipa::path(
    delete,
    path = "/namespaces/{name}",
    tag = "namespaces",
    params(("name" = NamespaceName, Path, description = "The namespace")),
    responses((status = 204, description = "It no longer exists"))
)]
pub(crate) async fn delete_namespace(
    State(state): State<AppState>,
    Extension(identity): Extension<Identity>,
    extract::Path(name): extract::Path<NamespaceName>,
    extract::NoBody: extract::NoBody,
) -> Result<StatusCode, Error> {
    delete::delete(
        state.deletion_parts(),
        state.announcer(),
        &state.replans,
        &identity.principal(),
        &name,
    )
    .await?;
    Ok(StatusCode::NO_CONTENT)
}
