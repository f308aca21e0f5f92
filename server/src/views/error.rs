//! Errors of pages, for people.

use askama::Template;
use buildbtw_model::api::Problem;

use super::layout::{Layout, Section};

/// See the module.
#[derive(Template)]
#[template(path = "error.html")]
pub(crate) struct ErrorPage {
    layout: Layout,
    problem: Problem,
}

impl ErrorPage {
    pub(crate) fn new(problem: Problem) -> Self {
        Self {
            layout: Layout::new(Section::Other, problem.title.clone()),
            problem,
        }
    }
}
