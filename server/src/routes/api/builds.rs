//! `/builds`.

use axum::Json;
use axum::extract::State;
use buildbtw_model::BuildId;
use buildbtw_model::api::BuildDetail;

use crate::address::BaseUrl;
use crate::error::Error;
use crate::routes::extract;
use crate::service::read::build;
use crate::state::AppState;

/// Returns a build with its attempts and packages.
#[utoipa::path(
    get,
    path = "/builds/{id}",
    tag = "builds",
    params(("id" = BuildId, Path, description = "The number of the build")),
    responses((status = 200, description = "The build", body = BuildDetail))
)]
pub(crate) async fn show_build(
    State(state): State<AppState>,
    server: BaseUrl,
    extract::Path(id): extract::Path<BuildId>,
) -> Result<Json<BuildDetail>, Error> {
    Ok(Json(build::show_build(&state.database, &server, id).await?))
}
