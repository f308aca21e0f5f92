//! The page for a person who looks what there is.

use std::fmt::Write as _;

use axum::extract::State;
use axum::response::Html;

use crate::FakeGitlab;

/// More would be slow to look at.
const MOST: usize = 1_000;

/// Lists projects.
pub(crate) async fn list(State(gitlab): State<FakeGitlab>) -> Html<String> {
    let projects: Vec<_> = gitlab.state().projects.values().cloned().collect();
    let mut page = format!(
        "<!DOCTYPE html><title>Stand-in for GitLab</title><h1>{} projects</h1><ul>",
        projects.len()
    );
    for project in projects.iter().take(MOST) {
        let path = escape(&project.full_path);
        let _ = write!(
            page,
            "<li>{} <code>git clone {}</code> {}</li>",
            path,
            escape(&gitlab.git_url(&project.full_path)),
            project.last_activity_at
        );
    }
    page.push_str("</ul>");
    Html(page)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
