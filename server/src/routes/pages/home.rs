//! `/`: all namespaces.

use axum::extract::State;
use serde::Deserialize;

use super::error::{PageResult, page};
use super::response::links;
use crate::error::Error;
use crate::routes::extract;
use crate::service::read::{namespaces, sources};
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
    let namespaces = namespaces::list_namespaces(&state, query.cursor.as_deref()).await?;
    let sources = sources::sources_overview(&state).await?;
    let first = query.cursor.is_none();
    page(&HomePage::new(
        namespaces,
        sources,
        state.outages.current(),
        first,
        state.clock.now().into(),
        &links(&state),
    )?)
}
