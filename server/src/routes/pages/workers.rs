//! `/workers`: the machines that build.

use axum::extract::State;
use serde::Deserialize;

use super::error::{PageResult, page};
use super::response::links;
use crate::error::Error;
use crate::routes::extract;
use crate::service::read::paging::Paging;
use crate::service::read::workers::list_workers;
use crate::state::AppState;
use crate::views::workers::WorkersPage;

#[derive(Deserialize)]
pub(crate) struct WorkersQuery {
    cursor: Option<String>,
}

pub(crate) async fn show_workers(
    State(state): State<AppState>,
    query: Result<extract::Query<WorkersQuery>, Error>,
) -> PageResult {
    let extract::Query(query) = query?;
    let first = query.cursor.is_none();
    let paging = Paging::new(query.cursor, None);
    let workers = list_workers(&state.database, &paging).await?;
    let now = state.clock.now().into();
    page(&WorkersPage::new(workers, first, now, &links(&state))?)
}
