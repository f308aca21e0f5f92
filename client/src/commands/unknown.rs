//! Errors for names that a namespace does not have, with the one that was probably meant.

use buildbtw_model::api::IterationOverview;
use buildbtw_model::client::BuildQuery;
use buildbtw_model::{NamespaceName, Pkgbase, closest};

use crate::context::Context;
use crate::error::Error;

/// Creates the error for a package that an iteration does not build.
pub(super) async fn unknown_build(
    context: &Context,
    namespace: &NamespaceName,
    iteration: &IterationOverview,
    pkgbase: &Pkgbase,
) -> Error {
    let message = format!("namespace `{namespace}` has no build of `{pkgbase}`");
    let lists = format!("`buildbtw show {namespace} --all` lists its builds");
    // The error is the same without a suggestion.
    let (number, all) = (iteration.summary.number, BuildQuery::default());
    let builds = context.client.builds(namespace, number, &all, None).await;
    let builds = builds.unwrap_or_default();
    let known = builds.iter().map(|build| build.pkgbase.as_str());
    let hint = match closest(pkgbase.as_str(), known) {
        Some(name) => format!("did you mean `{name}`? {lists}"),
        None => lists,
    };
    Error::with_hint(message, hint)
}
