//! `/namespaces/{name}/iterations`: iterations and their builds.

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use buildbtw_model::api::{
    BuildSummary, CreateIteration, IterationOverview, IterationSummary, Page, ProblemKind,
};
use buildbtw_model::{Architecture, BuildStatus, NamespaceName, Pkgbase};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::address::BaseUrl;
use crate::auth::Identity;
use crate::error::{Error, Refusal};
use crate::routes::extract;
use crate::routes::paging::PageQuery;
use crate::service::new_iteration::request_iteration;
use crate::service::read::builds::{self, WantedBuilds};
use crate::service::read::iteration;
use crate::service::read::paging::Paging;
use crate::state::AppState;

/// Lists the iterations of a namespace, the newest first.
#[utoipa::path(
    get,
    path = "/namespaces/{name}/iterations",
    tag = "iterations",
    params(("name" = NamespaceName, Path, description = "The namespace"), PageQuery),
    responses((status = 200, description = "A page", body = Page<IterationSummary>))
)]
pub(crate) async fn list_iterations(
    State(state): State<AppState>,
    extract::Path(name): extract::Path<NamespaceName>,
    extract::Query(query): extract::Query<PageQuery>,
) -> Result<Json<Page<IterationSummary>>, Error> {
    Ok(Json(
        iteration::list_iterations(&state.database, &name, &query.into()).await?,
    ))
}

/// Returns an iteration without its builds, which are a list of their own.
#[utoipa::path(
    get,
    path = "/namespaces/{name}/iterations/{number}",
    tag = "iterations",
    params(
        ("name" = NamespaceName, Path, description = "The namespace"),
        ("number" = String, Path, description = "The number, or `current` for the newest", example = "current"),
    ),
    responses((status = 200, description = "The iteration", body = IterationOverview))
)]
pub(crate) async fn show_iteration(
    State(state): State<AppState>,
    server: BaseUrl,
    extract::Path((name, number)): extract::Path<(NamespaceName, String)>,
) -> Result<Json<IterationOverview>, Error> {
    let number = parse_iteration(&number)?;
    let (database, on_gitlab) = (&state.database, state.pipelines.as_ref());
    let shortage = state.disk.current_shortage();
    Ok(Json(
        iteration::show_overview(database, on_gitlab, shortage, &server, &name, number).await?,
    ))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct BuildsQuery {
    /// `next` of the previous page
    #[param(example = "bmFtZXNwYWNlcyBMampuZXlMRCA0Mg")]
    cursor: Option<String>,
    /// The maximum number of entries; 100 by default
    #[param(minimum = 1, maximum = 1000, example = 100)]
    limit: Option<u32>,
    /// Builds in this status only
    #[param(example = "failed")]
    status: Option<BuildStatus>,
    /// Builds for this architecture only
    #[param(example = "x86_64")]
    architecture: Option<Architecture>,
    /// Builds of this source package only
    #[param(example = "libgreet")]
    package: Option<Pkgbase>,
    /// Builds of source packages that begin with this only
    #[param(example = "lib")]
    prefix: Option<String>,
}

/// Lists the builds of an iteration, those of each architecture in a valid build order.
#[utoipa::path(
    get,
    path = "/namespaces/{name}/iterations/{number}/builds",
    tag = "builds",
    params(
        ("name" = NamespaceName, Path, description = "The namespace"),
        ("number" = String, Path, description = "The number, or `current` for the newest", example = "current"),
        BuildsQuery,
    ),
    responses((status = 200, description = "A page", body = Page<BuildSummary>))
)]
pub(crate) async fn list_builds(
    State(state): State<AppState>,
    extract::Path((name, number)): extract::Path<(NamespaceName, String)>,
    extract::Query(query): extract::Query<BuildsQuery>,
) -> Result<Json<Page<BuildSummary>>, Error> {
    let number = parse_iteration(&number)?;
    let paging = Paging::new(query.cursor, query.limit);
    let wanted = WantedBuilds {
        status: query.status,
        architecture: query.architecture,
        pkgbase: query.package,
        prefix: query.prefix,
    };
    let on_gitlab = state.pipelines.as_ref();
    Ok(Json(
        builds::list_builds(&state.database, on_gitlab, &name, number, wanted, &paging).await?,
    ))
}

/// Plans a new iteration of a namespace.
#[utoipa::path(
    post,
    path = "/namespaces/{name}/iterations",
    tag = "iterations",
    params(("name" = NamespaceName, Path, description = "The namespace")),
    request_body = CreateIteration,
    responses(
        (status = 201, description = "The new iteration", body = IterationOverview),
        (status = 409, description = "The namespace is held, or another request plans it at the same time"),
        (status = 422, description = "The sources cannot be planned"),
        (status = 503, description = "The disk is below its reserve, or something else is temporarily unavailable"),
    )
)]
pub(crate) async fn create_iteration(
    State(state): State<AppState>,
    Extension(identity): Extension<Identity>,
    server: BaseUrl,
    extract::Path(name): extract::Path<NamespaceName>,
    extract::Json(request): extract::Json<CreateIteration>,
) -> Result<(StatusCode, Json<IterationOverview>), Error> {
    let by = identity.principal();
    let newest = request_iteration(state.planning_parts(), &by, &server, &name, &request).await?;
    Ok((StatusCode::CREATED, Json(newest)))
}

/// Parses the number of an iteration, or `current` for the newest.
fn parse_iteration(text: &str) -> Result<Option<u32>, Error> {
    if text == "current" {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| {
        let title = format!("`{text}` is not an iteration: expected a number or `current`");
        Refusal::new(ProblemKind::InvalidRequest, title)
            .hint("`buildbtw show` lists the iterations of a namespace")
            .into()
    })
}
