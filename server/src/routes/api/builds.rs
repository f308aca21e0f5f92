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

pub(crate) async fn show_build(
    State(state): State<AppState>,
    server: BaseUrl,
    extract::Path(id): extract::Path<BuildId>,
) -> Result<Json<BuildDetail>, Error> {
    Ok(Json(build::show_build(&state.database, &server, id).await?))
}
