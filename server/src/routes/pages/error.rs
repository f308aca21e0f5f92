//! Errors of pages: the same refusals as those of the API, in HTML.

use askama::Template as _;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use buildbtw_model::api::Problem;

use super::html_response;
use crate::error::{Error, problem_response};
use crate::views::error::ErrorPage;

/// Why a page is not shown.
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

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        error_response(self.0.into_problem())
    }
}

/// Answers with a page about a problem.
pub(crate) fn error_response(problem: Problem) -> Response {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    match ErrorPage::new(problem.clone()).render() {
        Ok(html) => html_response(status, html),
        Err(error) => {
            tracing::error!(error = error.to_string(), "cannot render the error page");
            problem_response(problem)
        }
    }
}
