//! Plans a namespace again: because its origins or packages of its graph changed, or on request. Unchanged builds
//! are reused; only the rest is built.

mod differences;
mod trigger;

use std::collections::BTreeSet;

use buildbtw_model::api::{CreateIteration, IterationChange, IterationOverview, ProblemKind};
use buildbtw_model::{ChangeKind, IterationCause, NamespaceName, Pkgbase};

use crate::address::BaseUrl;
use crate::db::iterations::IterationRow;
use crate::db::namespaces::NamespaceRow;
use crate::db::{Database, WriteTransaction, iterations, namespaces, packages, retired_packages};
use crate::error::{Error, Refusal};
use crate::planning::queue::Caller;
use crate::sources::{self, Freshness, Sources};
use crate::state::parts::PlanningParts;

use super::create_namespace::{check_bootstrap, patterns};
use super::iteration_settings::Settings;
use super::plan_iteration::{self, PlanInput};
use super::read::find::find_namespace;
use super::read::iteration::show_overview;
use super::refusals;
use super::transitions::Transition;

pub use trigger::Trigger;

use differences::{causes, changes, moved_origins, old_snapshots};

/// Plans a new iteration on a user's request, and returns the newest one.
///
/// # Errors
/// See `new_iteration_after`; also when there is no such namespace, or other requests plan it at the same time.
pub async fn request_iteration(
    parts: PlanningParts<'_>,
    caller: Caller,
    server: &BaseUrl,
    name: &NamespaceName,
    request: &CreateIteration,
) -> Result<IterationOverview, Error> {
    let namespace = &find_namespace(parts.database, name).await?;
    check_bootstrap(&request.bootstrap)?;
    check_bootstrap(&request.no_bootstrap)?;
    let trigger = Trigger::Requested {
        refresh_base: request.refresh_base,
    };
    let wanted = Settings {
        bootstrap: &request.bootstrap,
        no_bootstrap: &request.no_bootstrap,
        same_sonames: request.same_sonames,
    };
    for _ in 0..MAX_TRIES {
        let old = newest(parts.database, namespace).await?;
        let created = create_iteration(parts, namespace, &old, trigger, &wanted, caller).await?;
        // An iteration that was created concurrently does not have these settings.
        if created.is_some() || wanted.is_none() {
            let (database, on_gitlab) = (parts.database, parts.pipelines);
            let shortage = parts.disk.current_shortage();
            return show_overview(database, on_gitlab, shortage, server, name, None).await;
        }
    }
    Err(planned_concurrently(&namespace.name))
}

/// Creates the refusal of a request that lost against concurrent ones too often.
pub(super) fn planned_concurrently(name: &NamespaceName) -> Error {
    Refusal::new(
        ProblemKind::Conflict,
        format!("`{name}` was planned again by other requests at the same time"),
    )
    .hint("try again in a moment")
    .into()
}

/// Creates the refusal of a request that a cancelled namespace does not accept.
pub(super) fn cancelled(name: &NamespaceName) -> Error {
    Refusal::new(ProblemKind::Conflict, format!("`{name}` is cancelled"))
        .hint(format!(
            "run `buildbtw resume {name}`; it plans again if the sources have changed"
        ))
        .into()
}

/// How often a plan with changed settings is retried when others plan the same namespace.
const MAX_TRIES: usize = 3;

async fn newest(database: &Database, namespace: &NamespaceRow) -> Result<IterationRow, Error> {
    let newest = iterations::newest(database.read(), namespace.id).await?;
    Ok(newest.ok_or_else(|| anyhow::anyhow!("namespace {} has no iteration", namespace.name))?)
}

/// Creates a new iteration and returns its number; `None` when nothing changed and it was not requested, or when
/// `old` is no longer the newest iteration.
///
/// # Errors
/// When an origin can no longer be resolved, the repository of a member or a base repository cannot be used, or the
/// plan is too large.
pub(crate) async fn new_iteration_after(
    parts: PlanningParts<'_>,
    namespace: &NamespaceRow,
    old: &IterationRow,
    trigger: Trigger,
    caller: Caller,
) -> Result<Option<u32>, Error> {
    create_iteration(parts, namespace, old, trigger, &Settings::default(), caller).await
}

/// Waits until the index is as new as the sources, if a user waits for the result.
async fn caught_up(
    parts: PlanningParts<'_>,
    namespace: &NamespaceRow,
    trigger: Trigger,
) -> Result<Freshness, Error> {
    match trigger {
        Trigger::Requested { .. } => {
            catch_up(parts.database, parts.sources, namespace, Vec::new()).await
        }
        Trigger::SourcesChanged => Ok(Freshness::Current),
    }
}

async fn create_iteration(
    parts: PlanningParts<'_>,
    namespace: &NamespaceRow,
    old: &IterationRow,
    trigger: Trigger,
    settings: &Settings<'_>,
    caller: Caller,
) -> Result<Option<u32>, Error> {
    parts.disk.ensure_room()?;
    let freshness = caught_up(parts, namespace, trigger).await?;
    let input = plan_input(parts, namespace, old, trigger, settings).await?;
    let drafted = plan_iteration::draft(parts, caller, &input).await?;
    let (before, files) = old_snapshots(parts.database, old).await?;
    let changes = changes(&before, &drafted.snapshots(&files));
    check_removed_members(parts.sources, &input, &changes).await?;
    let (footprints, seen) = (drafted.footprints(), drafted.seen());
    let moved = moved_origins(parts.database, old, &input.origins).await?;
    if trigger == Trigger::SourcesChanged && changes.is_empty() && moved.is_empty() {
        parts
            .replans
            .planned(namespace.id, footprints, parts.sources, seen);
        refusals::clear(parts.database, parts.announcer, namespace.id).await?;
        return Ok(None);
    }
    let mut planned = plan_iteration::complete(parts, caller, &input, drafted).await?;
    planned.note_sources(&freshness, None, &input.origins);
    let causes = causes(trigger, moved, &changes);
    let mut tx = parts.database.write().await?;
    let is_current = check_current(&mut tx, namespace, old, trigger).await;
    if !matches!(is_current, Ok(true)) {
        tx.undo().await?;
        return is_current.map(|_| None);
    }
    namespaces::change(&mut tx, namespace.id, &input.bootstrap, input.same_sonames).await?;
    let (iteration, number) = iterations::insert(&mut tx, namespace.id, &causes).await?;
    let reused = plan_iteration::store(&mut tx, iteration, &input.origins, planned).await?;
    iterations::insert_changes(&mut tx, iteration, &changes).await?;
    let mut transition = Transition::of(tx);
    transition.publish(reused);
    transition.supersede(old, number).await?;
    transition
        .record_planned(namespace.id, iteration, &causes)
        .await?;
    let effects = transition.commit().await?;
    parts
        .replans
        .planned(namespace.id, footprints, parts.sources, seen);
    parts.announcer.announce(effects);
    tracing::info!(
        namespace.name = namespace.name.as_str(),
        iteration.number = number,
        reason = IterationCause::describe(&causes),
        "planned new iteration"
    );
    Ok(Some(number))
}

/// Returns whether an iteration may still be followed by a new one: a concurrent request may have been faster.
async fn check_current(
    tx: &mut WriteTransaction,
    namespace: &NamespaceRow,
    old: &IterationRow,
    trigger: Trigger,
) -> Result<bool, Error> {
    let current = namespaces::by_id(tx.connection(), namespace.id).await?;
    if current.is_none_or(|current| current.held_at.is_some()) {
        return match trigger {
            Trigger::SourcesChanged => Ok(false),
            Trigger::Requested { .. } => Err(cancelled(&namespace.name)),
        };
    }
    // A newer iteration was planned with at least the changes that this one has.
    let newest = iterations::newest(tx.connection(), namespace.id).await?;
    Ok(newest.map(|newest| newest.id) == Some(old.id))
}

/// Refuses a plan that lacks a member only because its repository is broken at the moment: the rebuild would end
/// without it. Fixing the repository leads to another plan.
async fn check_removed_members(
    sources: &Sources,
    input: &PlanInput,
    changes: &[IterationChange],
) -> Result<(), Error> {
    let is_origin = |pkgbase: &Pkgbase| {
        let mut origins = input.origins.iter();
        origins.any(|origin| origin.changeset.pkgbase == *pkgbase)
    };
    let removed: BTreeSet<_> = changes
        .iter()
        .filter(|change| change.kind == ChangeKind::Removed && !is_origin(&change.pkgbase))
        .map(|change| &change.pkgbase)
        .collect();
    match sources.unusable_of(removed).await?.first() {
        Some(row) => Err(sources::broken(row)),
        None => Ok(()),
    }
}

/// Waits until the index contains everything that was pushed to the sources before a plan was requested. The
/// repositories of the origins, and of some `others`, are always read.
pub(super) async fn catch_up(
    database: &Database,
    sources: &Sources,
    namespace: &NamespaceRow,
    others: Vec<Pkgbase>,
) -> Result<Freshness, Error> {
    let origins = namespaces::origins(database.read(), namespace.id).await?;
    let origins = origins.into_iter().map(|origin| origin.pkgbase);
    let pkgbases: Vec<_> = origins.chain(others).collect();
    Ok(sources.catch_up(&pkgbases).await)
}

async fn plan_input(
    parts: PlanningParts<'_>,
    namespace: &NamespaceRow,
    old: &IterationRow,
    trigger: Trigger,
    settings: &Settings<'_>,
) -> Result<PlanInput, Error> {
    let reader = parts.database.read();
    let before = iterations::origins(reader, old.id).await?;
    let mut origins = Vec::new();
    for changeset in namespaces::origins(reader, namespace.id).await? {
        let known = before.iter().find(|(known, _)| *known == changeset);
        let known = known.map(|(_, commit)| commit);
        origins.push(parts.sources.resolve_again(&changeset, known).await?);
    }
    let snapshot = iterations::base_digests(reader, old.id).await?.into_iter();
    let bootstrapped = namespaces::bootstrap(reader, namespace.id).await?;
    let (include, exclude) = namespaces::patterns(reader, namespace.id).await?;
    let mut produced = packages::produced_in_namespace(reader, namespace.id).await?;
    produced.extend(retired_packages::of_name(reader, &namespace.name).await?);
    Ok(PlanInput {
        namespace: Some(namespace.id),
        name: Some(namespace.name.clone()),
        origins,
        scope: namespace.scope,
        include: patterns("include", &include).await?,
        exclude: patterns("exclude", &exclude).await?,
        bootstrap: settings.bootstrapped(bootstrapped)?,
        same_sonames: settings.same_sonames.unwrap_or(namespace.same_sonames),
        max_builds: namespace.max_builds,
        bump: namespace.bump,
        network: parts.config.network.effective(namespace.network),
        produced,
        snapshot: snapshot
            .map(|(architecture, repository, digest)| ((architecture, repository), digest))
            .collect(),
        refresh_base: trigger == Trigger::Requested { refresh_base: true },
    })
}
