//! `/builds`.

use axum::Json;
use axum::extract::State;
use buildbtw_model::BuildId;
use buildbtw_model::api::BuildDetail;

use crate::address::BaseUrl;
use crate::app_state::AppState;
use crate::error::Error;
use crate::routes::extract;
use crate::service::queries;

pub(crate) async fn show_build(
    State(state): State<AppState>,
    server: BaseUrl,
    extract::Path(id): extract::Path<BuildId>,
) -> Result<Json<BuildDetail>, Error> {
    Ok(Json(queries::show_build(&state, &server, id).await?))
}
