//! `/builds/{id}`: one build with its attempts and a log.

use axum::extract::State;
use buildbtw_model::{AttemptId, BuildId};
use serde::Deserialize;

use super::error::{PageResult, page};
use super::response::links;
use crate::address::BaseUrl;
use crate::error::Error;
use crate::routes::extract;
use crate::service::read::build_page::build_page;
use crate::state::AppState;
use crate::views::build::BuildPage;

#[derive(Deserialize)]
pub(crate) struct BuildQuery {
    attempt: Option<AttemptId>,
}

pub(crate) async fn show_build(
    State(state): State<AppState>,
    server: BaseUrl,
    id: Result<extract::Path<BuildId>, Error>,
    query: Result<extract::Query<BuildQuery>, Error>,
) -> PageResult {
    let extract::Path(id) = id?;
    let extract::Query(BuildQuery { attempt }) = query?;
    let content = build_page(&state.database, &state.logs, &server, id, attempt).await?;
    let now = state.clock.now().into();
    page(&BuildPage::new(content, now, &links(&state))?)
}
