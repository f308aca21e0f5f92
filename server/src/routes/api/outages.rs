//! `/outages`.

use axum::Json;
use axum::extract::State;
use buildbtw_model::api::{Page, TaskOutage};

use crate::error::Error;
use crate::routes::extract;
use crate::routes::paging::PageQuery;
use crate::service::read::outages;
use crate::state::AppState;

/// Lists the current outages of the server's background tasks, ordered by task.
#[utoipa::path(
    get,
    path = "/outages",
    tag = "service",
    params(PageQuery),
    responses((status = 200, description = "A page", body = Page<TaskOutage>))
)]
pub(crate) async fn list_outages(
    State(state): State<AppState>,
    extract::Query(query): extract::Query<PageQuery>,
) -> Result<Json<Page<TaskOutage>>, Error> {
    Ok(Json(outages::list_outages(&state.outages, &query.into())?))
}
