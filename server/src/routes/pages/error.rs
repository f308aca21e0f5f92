//! Errors of pages: the same as those of the API, in HTML. A handler's error does not know the addresses of
//! links; `show_errors` renders the page.

use askama::Template;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use buildbtw_model::api::Problem;

use crate::error::{Error, problem_response};
use crate::state::AppState;
use crate::views::error::ErrorPage;
use crate::views::links::Links;

use super::response::{html_response, links};

/// The error of a page's handler.
pub(crate) struct PageError(Error);

impl From<Error> for PageError {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl From<askama::Error> for PageError {
    fn from(error: askama::Error) -> Self {
        Self(Error::Internal(error.into()))
    }
}

/// The result of a page's handler.
pub(super) type PageResult = Result<Response, PageError>;

/// Renders a page with status 200.
pub(super) fn page(view: &impl Template) -> PageResult {
    Ok(html_response(StatusCode::OK, view.render()?))
}

/// The problem that `show_errors` renders.
#[derive(Clone)]
struct Shown(Problem);

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let problem = self.0.into_problem();
        let mut response = problem_response(problem.clone());
        response.extensions_mut().insert(Shown(problem));
        response
    }
}

/// Renders a page for a handler's [`PageError`].
pub(super) async fn show_errors(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = next.run(request).await;
    match response.extensions_mut().remove::<Shown>() {
        Some(Shown(problem)) => error_response(&links(&state), problem),
        None => response,
    }
}

/// Renders the page of a problem.
pub(crate) fn error_response(links: &Links, problem: Problem) -> Response {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    match ErrorPage::new(links, problem.clone()).render() {
        Ok(html) => html_response(status, html),
        Err(error) => {
            tracing::error!(error = error.to_string(), "cannot render the error page");
            problem_response(problem)
        }
    }
}
