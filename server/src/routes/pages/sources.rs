//! `/sources`: the source repositories and their problems.

use axum::extract::State;
use serde::Deserialize;

use super::error::{PageResult, page};
use super::response::links;
use crate::error::Error;
use crate::routes::extract;
use crate::service::read::paging::Paging;
use crate::service::read::sources::sources_page;
use crate::state::AppState;
use crate::views::sources::SourcesPage;

#[derive(Deserialize)]
pub(crate) struct SourcesQuery {
    #[serde(default)]
    broken: bool,
    cursor: Option<String>,
}

pub(crate) async fn list_sources(
    State(state): State<AppState>,
    query: Result<extract::Query<SourcesQuery>, Error>,
) -> PageResult {
    let extract::Query(query) = query?;
    let first = query.cursor.is_none();
    let paging = Paging::new(query.cursor, None);
    let content = sources_page(state.read_parts(), query.broken, &paging).await?;
    let now = state.clock.now().into();
    page(&SourcesPage::new(
        content,
        query.broken,
        first,
        now,
        &links(&state),
    )?)
}
