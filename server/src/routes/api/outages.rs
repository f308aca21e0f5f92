//! `/outages`.

use axum::Json;
use axum::extract::State;
use buildbtw_model::api::TaskOutage;

use crate::service::read::outages;
use crate::state::AppState;

pub(crate) async fn list_outages(State(state): State<AppState>) -> Json<Vec<TaskOutage>> {
    Json(outages::list_outages(&state.outages))
}
