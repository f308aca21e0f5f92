//! The page of an error.

use askama::Template;
use buildbtw_model::api::Problem;

use super::layout::{Layout, Section};
use super::links::Links;

/// The page of an error.
#[derive(Template)]
#[template(path = "error.html")]
pub(crate) struct ErrorPage {
    layout: Layout,
    problem: Problem,
}

impl ErrorPage {
    pub(crate) fn new(links: &Links, problem: Problem) -> Self {
        Self {
            layout: Layout::new(links, Section::Other, problem.title.clone()),
            problem,
        }
    }
}
