//! Query parameters that an operation does not have: a misspelled filter must not select everything.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{MatchedPath, Query, Request};
use axum::middleware::Next;
use axum::response::Response;
use buildbtw_model::api::ProblemKind;

use super::document::Document;
use crate::error::{Error, Refusal};

/// Refuses a request with a query parameter that the description of its operation does not have.
pub(crate) async fn refuse_unknown(
    Extension(document): Extension<Arc<Document>>,
    path: MatchedPath,
    request: Request,
    next: Next,
) -> Result<Response, Error> {
    let method = match request.method().as_str() {
        "HEAD" => "get".to_owned(),
        method => method.to_ascii_lowercase(),
    };
    let known = document.query_parameters(method, path.as_str());
    let sent = Query::<Vec<(String, String)>>::try_from_uri(request.uri());
    // Handlers explain what cannot be parsed at all.
    let sent = sent.map(|Query(sent)| sent).unwrap_or_default();
    match sent.iter().find(|(name, _)| !known.contains(name)) {
        Some((name, _)) => Err(refusal(name, known)),
        None => Ok(next.run(request).await),
    }
}

fn refusal(name: &str, known: &[String]) -> Error {
    let name: String = name.chars().take(60).collect();
    let hint = match known {
        [] => "leave it out: the request has no query parameters".to_owned(),
        known => format!("the request accepts: {}; see /api", known.join(", ")),
    };
    let title = format!("unknown query parameter `{name}`");
    Refusal::new(ProblemKind::InvalidRequest, title)
        .hint(hint)
        .into()
}
