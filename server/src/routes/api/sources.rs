//! `/sources`.

use axum::Json;
use axum::extract::State;
use buildbtw_model::api::{Page, SourceRepositorySummary, SourcesOverview};
use serde::Deserialize;

use crate::error::Error;
use crate::routes::extract;
use crate::service::read::sources;
use crate::state::AppState;

#[derive(Deserialize)]
pub(crate) struct SourcesQuery {
    #[serde(default)]
    broken: bool,
    cursor: Option<String>,
}

pub(crate) async fn list_sources(
    State(state): State<AppState>,
    extract::Query(query): extract::Query<SourcesQuery>,
) -> Result<Json<Page<SourceRepositorySummary>>, Error> {
    Ok(Json(
        sources::list_sources(state.read_parts(), query.broken, query.cursor.as_deref()).await?,
    ))
}

pub(crate) async fn show_overview(
    State(state): State<AppState>,
) -> Result<Json<SourcesOverview>, Error> {
    Ok(Json(
        sources::sources_overview(&state.database, &state.sources).await?,
    ))
}
