//! Previews a rebuild: plans it without storing anything.

mod facts;
mod inputs;
mod render;
mod selection;

use std::net::IpAddr;
use std::sync::Arc;

use buildbtw_model::Changeset;
use buildbtw_model::api::{PlanExceeds, PlanPreview, PlanSources};
use buildbtw_model::saturating;
use buildbtw_telemetry::spawn_blocking_named;

use crate::admission::Admission;
use crate::db::durations;
use crate::error::Error;
use crate::planning::queue::{Caller, PlanBudget};
use crate::repos::base::{BaseSnapshot, NOT_CHECKED, SnapshotDigests};
use crate::sources::{Freshness, ResolvedChangeset};
use crate::state::parts::PlanningParts;

use super::create_namespace::{
    DEFAULT_MAX_BUILDS, changesets, check_bootstrap, check_excluded, check_matched, pkgbases,
};
use super::plan_iteration::PlanInput;
use super::source_problems::FetchRules;

#[cfg(test)]
pub(super) use inputs::too_many_builds;
pub(super) use selection::{architecture, needs_token};

use inputs::PreviewInputs;
use render::{Remarks, rendered};
use selection::{ResolvedPreview, Selection, caller_at, check_size};

/// The maximum number of builds of a plan without a token, the default of a namespace.
const MAX_BUILDS: usize = 1_000;

/// Plans a rebuild and renders it in the requested format. Without a client's token the size of the plan is limited.
///
/// # Errors
/// When a changeset cannot be resolved, or the server does not build for the architecture; without a token, when the
/// plan exceeds the limits, or is requested too often.
pub async fn preview_plan(
    parts: PlanningParts<'_>,
    admission: &Admission,
    client: Option<Caller>,
    peer: Option<IpAddr>,
    preview: &PlanPreview,
) -> Result<String, Error> {
    match client {
        Some(client) => preview_for_client(parts, client, preview).await,
        None => preview_for_anonymous(parts, admission, preview, peer).await,
    }
}

async fn preview_for_client(
    parts: PlanningParts<'_>,
    caller: Caller,
    preview: &PlanPreview,
) -> Result<String, Error> {
    let (changesets, selection) = checked(parts, preview).await?;
    let freshness = parts.sources.catch_up(&pkgbases(&changesets)).await;
    let mut origins = Vec::with_capacity(changesets.len());
    for changeset in &changesets {
        let resolved = parts.sources.resolve_for_preview(changeset, &freshness);
        origins.push(resolved.await?);
    }
    let resolved = ResolvedPreview {
        caller,
        origins,
        selection,
        freshness,
        most_builds: usize::MAX,
    };
    answer(parts, preview, &changesets, resolved).await
}

/// Previews a plan without a token: of few default branches, as in the index, and of limited size. Concurrent
/// requests share one poll of the sources.
async fn preview_for_anonymous(
    parts: PlanningParts<'_>,
    admission: &Admission,
    preview: &PlanPreview,
    peer: Option<IpAddr>,
) -> Result<String, Error> {
    check_size(preview)?;
    let _permit = match peer {
        Some(peer) => Some(admission.plan(peer).await?),
        None => None,
    };
    let (changesets, selection) = checked(parts, preview).await?;
    let freshness = parts.sources.catch_up(&[]).await;
    let mut origins = Vec::with_capacity(changesets.len());
    for changeset in &changesets {
        let found = parts.sources.resolve_from_index(changeset, &freshness);
        origins.push(found.await?.ok_or_else(|| {
            let title =
                format!("`{changeset}` is not a default branch; planning it requires a token");
            Error::from(needs_token(title))
        })?);
    }
    let resolved = ResolvedPreview {
        caller: caller_at(peer),
        origins,
        selection,
        freshness,
        most_builds: MAX_BUILDS,
    };
    answer(parts, preview, &changesets, resolved).await
}

/// Returns the changesets and patterns of a request, checked as for a new namespace.
async fn checked(
    parts: PlanningParts<'_>,
    preview: &PlanPreview,
) -> Result<(Vec<Changeset>, Selection), Error> {
    let changesets = changesets(parts.sources, &preview.changesets).await?;
    let selection = Selection::read(preview).await?;
    check_excluded(&changesets, &selection.exclude)?;
    check_bootstrap(&preview.bootstrap)?;
    Ok((changesets, selection))
}

/// Plans and renders a resolved request.
async fn answer(
    parts: PlanningParts<'_>,
    preview: &PlanPreview,
    changesets: &[Changeset],
    resolved: ResolvedPreview,
) -> Result<String, Error> {
    let architecture = architecture(&parts.config.architectures, preview)?;
    check_matched(parts.sources, "include", &resolved.selection.include).await?;
    check_matched(parts.sources, "exclude", &resolved.selection.exclude).await?;
    let unusable = parts.sources.note_of_unusable(changesets).await?;
    let caller = resolved.caller;
    let base = match caller {
        Caller::Token(_) => Arc::new(parts.base.snapshot(&architecture).await),
        Caller::Address(_) | Caller::Server => parts.base.recent(&architecture).await,
    };
    let as_of = as_of(parts, &resolved.freshness);
    let mut notes = notes(&resolved.freshness, unusable, &base);
    let inputs = PreviewInputs {
        estimates: durations::estimates(parts.database.read(), &architecture).await?,
        sonames: parts.sonames.of(parts.database, &architecture),
        architecture,
        most_builds: resolved.most_builds,
        input: input(parts, preview, resolved.origins, resolved.selection),
        snapshot: parts.sources.catalog_snapshot(),
        base,
        fetched: FetchRules::current(parts.fetched, parts.config.network.default),
    };
    let make = move |budget: &PlanBudget| inputs.plan(budget);
    let planned = parts.planning.plan(caller, make).await?;
    let (plan, note) = facts::with_facts(parts, caller, planned).await?;
    notes.extend(note);
    let builds: u64 = saturating(plan.builds.len());
    let max_builds = preview.max_builds.unwrap_or(DEFAULT_MAX_BUILDS);
    let remarks = Remarks {
        sources: PlanSources {
            as_of,
            note: Some(notes.join("; ")).filter(|note| !note.is_empty()),
        },
        exceeds: (builds > u64::from(max_builds)).then_some(PlanExceeds { builds, max_builds }),
    };
    let preview = preview.clone();
    let write = move || rendered(&plan, &preview, &remarks);
    spawn_blocking_named("render plan", write).await?
}

/// Returns the input of a new namespace that would be created like this.
fn input(
    parts: PlanningParts<'_>,
    preview: &PlanPreview,
    origins: Vec<ResolvedChangeset>,
    selection: Selection,
) -> PlanInput {
    PlanInput {
        namespace: None,
        name: None,
        origins,
        scope: preview.scope,
        include: selection.include,
        exclude: selection.exclude,
        bootstrap: preview.bootstrap.clone(),
        same_sonames: preview.same_sonames,
        // A larger plan is shown too.
        max_builds: u32::MAX,
        bump: !preview.no_bump,
        network: parts.config.network.default,
        produced: Vec::new(),
        snapshot: SnapshotDigests::default(),
        refresh_base: true,
    }
}

/// Returns when the sources of a plan were read.
fn as_of(parts: PlanningParts<'_>, freshness: &Freshness) -> Option<jiff::Timestamp> {
    match freshness {
        Freshness::Current => {
            let status = parts.sources.status();
            status.last_poll.max(status.last_scan)
        }
        Freshness::Stale { as_of, .. } => *as_of,
    }
}

/// Returns notes on the sources and base repositories of a plan.
fn notes(freshness: &Freshness, unusable: Option<String>, base: &BaseSnapshot) -> Vec<String> {
    let unread = base.databases.iter().filter_map(|(repository, digest)| {
        let problem = digest.as_ref().err()?;
        Some(format!("base repository {repository}: {problem}"))
    });
    freshness
        .note()
        .into_iter()
        .chain(unusable)
        .chain(unread)
        .chain(base.is_incomplete().then(|| NOT_CHECKED.to_owned()))
        .collect()
}
