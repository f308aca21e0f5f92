//! `/activity`.

use axum::Json;
use axum::extract::State;
use buildbtw_model::NamespaceName;
use buildbtw_model::api::{Activity, Page};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::error::Error;
use crate::routes::extract;
use crate::service::read::activity;
use crate::service::read::paging::Paging;
use crate::state::AppState;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ActivityQuery {
    /// `next` of the previous page
    #[param(example = "YWN0aXZpdHkgNDI")]
    cursor: Option<String>,
    /// The maximum number of entries; 100 by default
    #[param(minimum = 1, maximum = 1000, example = 100)]
    limit: Option<u32>,
    /// What was requested with tokens of this name only
    #[param(example = "laptop")]
    by: Option<String>,
    /// What concerns this namespace only, which may have been deleted
    #[param(example = "libgreet-1")]
    namespace: Option<NamespaceName>,
}

/// Lists what people did and how rebuilds ended, the newest first.
#[utoipa::path(
    get,
    path = "/activity",
    tag = "service",
    params(ActivityQuery),
    responses((status = 200, description = "A page", body = Page<Activity>))
)]
pub(crate) async fn list_activity(
    State(state): State<AppState>,
    extract::Query(query): extract::Query<ActivityQuery>,
) -> Result<Json<Page<Activity>>, Error> {
    let paging = Paging::new(query.cursor, query.limit);
    let activities =
        activity::list_activity(&state.database, query.by, query.namespace, &paging).await?;
    Ok(Json(activities))
}
