//! `/namespaces/{name}`: a namespace at its newest iteration, or at an earlier one.

use axum::extract::State;
use buildbtw_model::NamespaceName;
use buildbtw_model::api::ProblemKind;

use super::error::{PageResult, page};
use super::response::links;
use crate::address::BaseUrl;
use crate::error::Error;
use crate::routes::extract;
use crate::service::read::namespaces::namespace_page;
use crate::state::AppState;
use crate::views::filter::{Filter, FilterQuery};
use crate::views::namespace::NamespacePage;

type Filtering = Result<extract::Query<FilterQuery>, Error>;

pub(crate) async fn show_namespace(
    State(state): State<AppState>,
    server: BaseUrl,
    name: Result<extract::Path<NamespaceName>, Error>,
    filtering: Filtering,
) -> PageResult {
    let extract::Path(name) = name?;
    let path = links(&state).namespace(&name);
    show(&state, &server, &name, None, filtering, path).await
}

pub(crate) async fn show_iteration(
    State(state): State<AppState>,
    server: BaseUrl,
    place: Result<extract::Path<(NamespaceName, u32)>, Error>,
    filtering: Filtering,
) -> PageResult {
    let extract::Path((name, number)) = place?;
    let path = links(&state).iteration(&name, number);
    show(&state, &server, &name, Some(number), filtering, path).await
}

async fn show(
    state: &AppState,
    server: &BaseUrl,
    name: &NamespaceName,
    number: Option<u32>,
    filtering: Filtering,
    path: String,
) -> PageResult {
    let extract::Query(query) = filtering?;
    let filter = Filter::parse(query)
        .map_err(|message| Error::refused(ProblemKind::InvalidRequest, message))?;
    let content = namespace_page(state.read_parts(), server, name, number).await?;
    let now = state.clock.now().into();
    page(&NamespacePage::new(
        &content,
        filter,
        path,
        now,
        &links(state),
    ))
}
