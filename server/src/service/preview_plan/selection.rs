//! The request for a preview, checked.

use std::net::IpAddr;

use buildbtw_model::api::{PlanPreview, ProblemKind};
use buildbtw_model::{Architecture, OriginSpec};
use buildbtw_planner::Patterns;

use crate::error::{Error, Refusal};
use crate::planning::queue::Caller;
use crate::service::create_namespace::patterns;
use crate::sources::{Freshness, ResolvedChangeset};

/// The maximum number of changesets of a plan without a token.
const MAX_CHANGESETS: usize = 20;

/// A request with its resolved changesets.
pub(super) struct ResolvedPreview {
    pub(super) caller: Caller,
    pub(super) origins: Vec<ResolvedChangeset>,
    pub(super) selection: Selection,
    pub(super) freshness: Freshness,
    /// The number of builds above which the plan is refused.
    pub(super) most_builds: usize,
}

/// The include and exclude patterns.
#[derive(Clone, Default)]
pub(super) struct Selection {
    pub(super) include: Patterns,
    pub(super) exclude: Patterns,
}

impl Selection {
    pub(super) async fn read(preview: &PlanPreview) -> Result<Self, Error> {
        Ok(Self {
            include: patterns("include", &preview.include).await?,
            exclude: patterns("exclude", &preview.exclude).await?,
        })
    }
}

/// Returns who asks without a token.
pub(super) fn caller_at(peer: Option<IpAddr>) -> Caller {
    peer.map_or(Caller::Server, Caller::Address)
}

/// Refuses requests that need a token.
pub(super) fn check_size(preview: &PlanPreview) -> Result<(), Error> {
    let specs = &preview.changesets;
    if let Some(url) = specs.iter().find_map(|spec| match spec {
        OriginSpec::MergeRequest(url) => Some(url),
        OriginSpec::Changeset(_) => None,
    }) {
        let title = format!("planning the merge request {url} requires a token");
        return Err(needs_token(title).into());
    }
    if specs.len() > MAX_CHANGESETS {
        let title = format!("planning more than {MAX_CHANGESETS} changesets requires a token");
        return Err(needs_token(title).into());
    }
    Ok(())
}

pub(in crate::service) fn needs_token(title: String) -> Refusal {
    Refusal::new(ProblemKind::Unauthenticated, title)
        .hint("`buildbtw login` stores one; an admin creates it with `buildbtw token create`")
}

/// Returns the architecture to plan for.
pub(in crate::service) fn architecture(
    configured: &[Architecture],
    preview: &PlanPreview,
) -> Result<Architecture, Error> {
    let found = match &preview.architecture {
        None => configured.first().cloned(),
        Some(wanted) => configured.iter().find(|known| *known == wanted).cloned(),
    };
    found.ok_or_else(|| {
        let known: Vec<_> = configured.iter().map(|known| known.as_str()).collect();
        let title = "this server does not build for that architecture";
        Refusal::new(ProblemKind::InvalidRequest, title)
            .hint(format!(
                "choose one of its architectures: {}",
                known.join(", ")
            ))
            .into()
    })
}
