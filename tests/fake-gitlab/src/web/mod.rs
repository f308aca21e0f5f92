//! Web pages that show the state without a token: nothing here is secret.

mod html;
mod log;
mod pages;

use axum::response::{Html, IntoResponse as _, Response};
use percent_encoding::percent_decode_str;

use crate::FakeGitlab;

/// Returns the page at a path, if there is one.
pub(crate) fn page(gitlab: &FakeGitlab, path: &str) -> Option<Response> {
    let path = percent_decode_str(path).decode_utf8().ok()?;
    let path = path.trim_matches('/');
    let text = match path.split_once("/-/") {
        None if path.is_empty() => pages::start(gitlab),
        None => match path.strip_prefix("groups/") {
            Some(group) => pages::group(gitlab, group)?,
            None => pages::project(gitlab, path)?,
        },
        Some((project, "pipelines")) => pages::pipelines(gitlab, project)?,
        Some((project, rest)) => {
            let (kind, id) = rest.split_once('/')?;
            let id = id.parse().ok()?;
            match kind {
                "pipelines" => pages::pipeline(gitlab, project, id)?,
                "jobs" => pages::job(gitlab, project, id)?,
                _ => return None,
            }
        }
    };
    Some(Html(text).into_response())
}
