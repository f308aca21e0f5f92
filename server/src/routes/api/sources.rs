//! `/sources`.

use axum::Json;
use axum::extract::State;
use buildbtw_model::api::{Page, SourceRepositorySummary, SourcesOverview};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::error::Error;
use crate::routes::extract;
use crate::service::read::paging::Paging;
use crate::service::read::sources;
use crate::state::AppState;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct SourcesQuery {
    /// Whether to list only repositories that cannot be used
    #[serde(default)]
    broken: bool,
    /// `next` of the previous page
    #[param(example = "bmFtZXNwYWNlcyBMampuZXlMRCA0Mg")]
    cursor: Option<String>,
    /// The maximum number of entries; 100 by default
    #[param(minimum = 1, maximum = 1000, example = 100)]
    limit: Option<u32>,
}

/// Lists the source repositories, ordered by path.
#[utoipa::path(
    get,
    path = "/sources",
    tag = "sources",
    params(SourcesQuery),
    responses((status = 200, description = "A page", body = Page<SourceRepositorySummary>))
)]
pub(crate) async fn list_sources(
    State(state): State<AppState>,
    extract::Query(query): extract::Query<SourcesQuery>,
) -> Result<Json<Page<SourceRepositorySummary>>, Error> {
    let paging = Paging::new(query.cursor, query.limit);
    Ok(Json(
        sources::list_sources(state.read_parts(), query.broken, &paging).await?,
    ))
}

/// Returns the state of all sources.
#[utoipa::path(
    get,
    path = "/sources/overview",
    tag = "sources",
    responses((status = 200, description = "The state", body = SourcesOverview))
)]
pub(crate) async fn show_overview(
    State(state): State<AppState>,
) -> Result<Json<SourcesOverview>, Error> {
    Ok(Json(
        sources::sources_overview(&state.database, &state.sources).await?,
    ))
}
