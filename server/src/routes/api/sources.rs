//! `/sources`.

use axum::Json;
use axum::extract::State;
use buildbtw_model::Pkgbase;
use buildbtw_model::api::{Page, SourceRefs, SourceRepositorySummary, SourcesOverview};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::error::Error;
use crate::routes::extract;
use crate::service::read::paging::Paging;
use crate::service::read::sources::{self, WantedSources};
use crate::state::AppState;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct SourcesQuery {
    /// Whether to list only repositories that cannot be used
    #[serde(default)]
    broken: bool,
    /// A part of the path or the pkgbase
    #[param(example = "greet")]
    search: Option<String>,
    /// The beginning of the pkgbase
    #[param(example = "lib")]
    prefix: Option<String>,
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
    let wanted = WantedSources {
        broken: query.broken,
        search: query.search,
        prefix: query.prefix,
    };
    Ok(Json(
        sources::list_sources(state.read_parts(), &wanted, &paging).await?,
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

/// Returns the branches of a source repository.
#[utoipa::path(
    get,
    path = "/sources/{pkgbase}/refs",
    tag = "sources",
    params(("pkgbase" = Pkgbase, Path, description = "The pkgbase")),
    responses(
        (status = 200, description = "The branches", body = SourceRefs),
        (status = 422, description = "There is no such source repository, or it cannot be used"),
    )
)]
pub(crate) async fn list_refs(
    State(state): State<AppState>,
    extract::Path(pkgbase): extract::Path<Pkgbase>,
) -> Result<Json<SourceRefs>, Error> {
    Ok(Json(sources::source_refs(&state.sources, &pkgbase).await?))
}
