//! `/`: all namespaces.

use axum::extract::State;
use serde::Deserialize;

use super::error::{PageResult, page};
use super::response::links;
use crate::error::Error;
use crate::routes::extract;
use crate::service::read::home::home_page;
use crate::service::read::paging::Paging;
use crate::state::AppState;
use crate::views::home::HomePage;

#[derive(Deserialize)]
pub(crate) struct HomeQuery {
    cursor: Option<String>,
}

pub(crate) async fn show_home(
    State(state): State<AppState>,
    query: Result<extract::Query<HomeQuery>, Error>,
) -> PageResult {
    let extract::Query(query) = query?;
    let first = query.cursor.is_none();
    let paging = Paging::new(query.cursor, None);
    let content = home_page(state.read_parts(), &paging).await?;
    let now = state.clock.now().into();
    page(&HomePage::new(content, first, now, &links(&state))?)
}
