//! `/workers`: the machines that build.

use axum::extract::State;
use axum::{Extension, Json};
use buildbtw_model::WorkerName;
use buildbtw_model::api::{DrainWorker, Page, WorkerSummary};

use crate::auth::Identity;
use crate::error::Error;
use crate::routes::extract;
use crate::routes::paging::PageQuery;
use crate::service::drain_worker;
use crate::service::read::workers;
use crate::state::AppState;

/// Lists the workers that are drained or were active within the last 30 days, by name.
#[utoipa::path(
    get,
    path = "/workers",
    tag = "workers",
    params(PageQuery),
    responses((status = 200, description = "A page", body = Page<WorkerSummary>))
)]
pub(crate) async fn list_workers(
    State(state): State<AppState>,
    extract::Query(query): extract::Query<PageQuery>,
) -> Result<Json<Page<WorkerSummary>>, Error> {
    Ok(Json(
        workers::list_workers(&state.database, &query.into()).await?,
    ))
}

/// Drains a worker: it finishes what it builds, and gets nothing new.
#[utoipa::path(
    post,
    path = "/workers/{name}/drain",
    tag = "workers",
    params(("name" = WorkerName, Path, description = "The worker")),
    request_body = DrainWorker,
    responses((status = 200, description = "The worker", body = WorkerSummary))
)]
pub(crate) async fn drain_worker(
    State(state): State<AppState>,
    Extension(identity): Extension<Identity>,
    extract::Path(name): extract::Path<WorkerName>,
    extract::Json(request): extract::Json<DrainWorker>,
) -> Result<Json<WorkerSummary>, Error> {
    let (database, claims, by) = (&state.database, &state.claims, identity.principal());
    Ok(Json(
        drain_worker::drain(database, claims, &by, &name, &request).await?,
    ))
}

/// Lets a drained worker have builds again.
#[utoipa::path(
    post,
    path = "/workers/{name}/resume",
    tag = "workers",
    params(("name" = WorkerName, Path, description = "The worker")),
    responses(
        (status = 200, description = "The worker", body = WorkerSummary),
        (status = 409, description = "It is not drained"),
    )
)]
pub(crate) async fn resume_worker(
    State(state): State<AppState>,
    Extension(identity): Extension<Identity>,
    extract::Path(name): extract::Path<WorkerName>,
) -> Result<Json<WorkerSummary>, Error> {
    let (database, claims, by) = (&state.database, &state.claims, identity.principal());
    Ok(Json(
        drain_worker::resume(database, claims, &by, &name).await?,
    ))
}
