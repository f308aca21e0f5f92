//! `/attempts/{id}/inputs`: what an attempt builds from, for people who repeat it.

use axum::Json;
use axum::extract::State;
use buildbtw_model::AttemptId;
use buildbtw_model::api::AttemptInputs;

use crate::address::BaseUrl;
use crate::error::Error;
use crate::routes::extract;
use crate::service::build_inputs;
use crate::state::AppState;

/// Returns what an attempt builds from: the commit, the release and the repositories of that attempt.
///
/// `buildbtw build NAMESPACE PKGBASE` repeats an attempt with it. `lease_s` and `timeout_s` are those of workers.
#[utoipa::path(
    get,
    path = "/attempts/{id}/inputs",
    tag = "builds",
    params(("id" = AttemptId, Path, description = "The attempt")),
    responses((status = 200, description = "What it builds from", body = AttemptInputs))
)]
pub(crate) async fn show_inputs(
    State(state): State<AppState>,
    server: BaseUrl,
    extract::Path(id): extract::Path<AttemptId>,
) -> Result<Json<AttemptInputs>, Error> {
    let (config, database, base) = (&state.config, &state.database, &state.base);
    let inputs = build_inputs::of_attempt(config, database, base, id, &server).await?;
    Ok(Json(inputs))
}
