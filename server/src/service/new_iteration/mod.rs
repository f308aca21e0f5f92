//! Plans a namespace again: because its origins or packages of its graph changed, or on request. Unchanged builds
//! are reused; only the rest is built.

mod differences;
mod trigger;

use std::collections::BTreeSet;

use buildbtw_model::api::{CreateIteration, IterationChange, IterationOverview, ProblemKind};
use buildbtw_model::{ChangeKind, IterationCause, NamespaceName, Pkgbase};

use crate::address::BaseUrl;
use crate::db::iterations::IterationRow;
use crate::db::namespaces::{Edited, NamespaceRow};
use crate::db::{Database, WriteTransaction, iterations, namespaces, packages, retired_packages};
use crate::error::{Error, Refusal};
use crate::planning::queue::Caller;
use crate::principal::Principal;
use crate::sources::{self, Freshness, Sources};
use crate::state::parts::PlanningParts;

use super::create_namespace::{check_bootstrap, patterns};
use super::iteration_settings::{Edit, Settings};
use super::plan_iteration::{self, PlanInput};
use super::read::find::{deleted_meanwhile, find_namespace};
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
    by: &Principal,
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
        edit: None,
    };
    plan_with(parts, by, namespace, trigger, &wanted).await?;
    let (database, on_gitlab) = (parts.database, parts.pipelines);
    let shortage = parts.disk.current_shortage();
    show_overview(database, on_gitlab, shortage, server, name, None).await
}

/// Plans a new iteration with changed settings.
///
/// # Errors
/// See `new_iteration_after`; also when other requests plan it at the same time.
async fn plan_with(
    parts: PlanningParts<'_>,
    by: &Principal,
    namespace: &NamespaceRow,
    trigger: Trigger,
    wanted: &Settings<'_>,
) -> Result<(), Error> {
    for _ in 0..MAX_TRIES {
        let old = newest(parts.database, namespace).await?;
        let created = create_iteration(parts, namespace, &old, trigger, wanted, Some(by)).await?;
        // An iteration that was created concurrently does not have these settings.
        if created.is_some() || wanted.is_none() {
            return Ok(());
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
pub(super) const MAX_TRIES: usize = 3;

pub(super) async fn newest(
    database: &Database,
    namespace: &NamespaceRow,
) -> Result<IterationRow, Error> {
    let newest = iterations::newest(database.read(), namespace.id).await?;
    newest.ok_or_else(|| deleted_meanwhile(&namespace.name))
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
    by: Option<&Principal>,
) -> Result<Option<u32>, Error> {
    create_iteration(parts, namespace, old, trigger, &Settings::default(), by).await
}

/// Waits until the index is as new as the sources, if a user waits for the result.
async fn caught_up(
    parts: PlanningParts<'_>,
    namespace: &NamespaceRow,
    trigger: Trigger,
    settings: &Settings<'_>,
) -> Result<Freshness, Error> {
    match trigger {
        Trigger::Requested { .. } => {
            catch_up(parts.database, parts.sources, namespace, settings.added()).await
        }
        Trigger::SourcesChanged => Ok(Freshness::Current),
    }
}

pub(super) async fn create_iteration(
    parts: PlanningParts<'_>,
    namespace: &NamespaceRow,
    old: &IterationRow,
    trigger: Trigger,
    settings: &Settings<'_>,
    by: Option<&Principal>,
) -> Result<Option<u32>, Error> {
    parts.disk.ensure_room()?;
    let caller = by.map_or(Caller::Server, Principal::caller);
    let freshness = caught_up(parts, namespace, trigger, settings).await?;
    let input = plan_input(parts, namespace, old, trigger, settings, &freshness).await?;
    let drafted = plan_iteration::draft(parts, caller, &input).await?;
    let (before, files) = old_snapshots(parts.database, old).await?;
    let changes = changes(&before, &drafted.snapshots(&files));
    check_removed_members(parts.sources, &input, &changes, settings.edit).await?;
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
    let causes = causes(trigger, moved, &changes, settings.edit);
    let mut tx = parts.database.write().await?;
    let is_current = check_current(&mut tx, namespace, old, trigger).await;
    if !matches!(is_current, Ok(true)) {
        tx.undo().await?;
        return is_current.map(|_| None);
    }
    change_settings(&mut tx, namespace, &input, settings).await?;
    let (iteration, number) = iterations::insert(&mut tx, namespace.id, &causes).await?;
    let tags = &parts.config.build_tags;
    let reused = plan_iteration::store(&mut tx, iteration, &input.origins, planned, tags).await?;
    iterations::insert_changes(&mut tx, iteration, &changes).await?;
    let mut transition = Transition::of(tx).by(by);
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

/// Stores the settings that change with an iteration.
async fn change_settings(
    tx: &mut WriteTransaction,
    namespace: &NamespaceRow,
    input: &PlanInput,
    settings: &Settings<'_>,
) -> sqlx::Result<()> {
    if let Some(edit) = settings.edit {
        namespaces::edit(tx, namespace.id, &edit.edited).await?;
    }
    namespaces::change(tx, namespace.id, &input.bootstrap, input.same_sonames).await
}

/// Returns whether an iteration may still be followed by a new one: a concurrent request may have been faster.
async fn check_current(
    tx: &mut WriteTransaction,
    namespace: &NamespaceRow,
    old: &IterationRow,
    trigger: Trigger,
) -> Result<bool, Error> {
    let current = namespaces::by_id(tx.connection(), namespace.id).await?;
    // Another namespace may have its number by now.
    let Some(current) = current.filter(|current| current.created_at == namespace.created_at) else {
        return match trigger {
            Trigger::SourcesChanged => Ok(false),
            Trigger::Requested { .. } => Err(deleted_meanwhile(&namespace.name)),
        };
    };
    if current.held_at.is_some() {
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
    edit: Option<&Edit>,
) -> Result<(), Error> {
    let is_origin = |pkgbase: &Pkgbase| {
        let mut origins = input.origins.iter();
        origins.any(|origin| origin.changeset.pkgbase == *pkgbase)
    };
    // What a user takes out is meant to vanish, also when it is broken.
    let is_taken_out = |pkgbase: &Pkgbase| {
        let mut before = edit.into_iter().flat_map(|edit| &edit.before);
        before.any(|origin| origin.pkgbase == *pkgbase) || input.exclude.matches(pkgbase)
    };
    let removed: BTreeSet<_> = changes
        .iter()
        .filter(|change| change.kind == ChangeKind::Removed)
        .map(|change| &change.pkgbase)
        .filter(|pkgbase| !is_origin(pkgbase) && !is_taken_out(pkgbase))
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
    freshness: &Freshness,
) -> Result<PlanInput, Error> {
    let reader = parts.database.read();
    let namespace = &read_again(parts.database, namespace).await?;
    let before = iterations::origins(reader, old.id).await?;
    let edited = match settings.edit {
        Some(edit) => edit.edited.clone(),
        None => current(parts.database, namespace).await?,
    };
    let mut origins = Vec::new();
    for changeset in &edited.origins {
        let known = before.iter().find(|(known, _)| known == changeset);
        let sources = parts.sources;
        origins.push(match known {
            // A new origin; its ref must exist.
            None if settings.edit.is_some() => sources.resolve(changeset, freshness).await?,
            known => {
                let known = known.map(|(_, commit)| commit);
                sources.resolve_again(changeset, known).await?
            }
        });
    }
    let snapshot = iterations::base_digests(reader, old.id).await?.into_iter();
    let bootstrapped = namespaces::bootstrap(reader, namespace.id).await?;
    let mut produced = packages::produced_in_namespace(reader, namespace.id).await?;
    produced.extend(retired_packages::of_name(reader, &namespace.name).await?);
    Ok(PlanInput {
        namespace: Some(namespace.id),
        name: Some(namespace.name.clone()),
        origins,
        scope: edited.scope,
        include: patterns("include", &edited.include).await?,
        exclude: patterns("exclude", &edited.exclude).await?,
        bootstrap: settings.bootstrapped(bootstrapped)?,
        same_sonames: settings.same_sonames.unwrap_or(namespace.same_sonames),
        max_builds: edited.max_builds,
        bump: namespace.bump,
        network: parts.config.network.effective(namespace.network),
        produced,
        snapshot: snapshot
            .map(|(architecture, repository, digest)| ((architecture, repository), digest))
            .collect(),
        refresh_base: trigger == Trigger::Requested { refresh_base: true },
    })
}

/// Returns a namespace as it is now: it may have been read long before its newest iteration, and edited in between. One
/// that was deleted is returned as it was: `check_current` says so.
async fn read_again(database: &Database, namespace: &NamespaceRow) -> sqlx::Result<NamespaceRow> {
    let now = namespaces::by_id(database.read(), namespace.id).await?;
    Ok(now.unwrap_or_else(|| namespace.clone()))
}

/// Returns what a namespace rebuilds.
pub(super) async fn current(
    database: &Database,
    namespace: &NamespaceRow,
) -> Result<Edited, Error> {
    let reader = database.read();
    let (include, exclude) = namespaces::patterns(reader, namespace.id).await?;
    Ok(Edited {
        origins: namespaces::origins(reader, namespace.id).await?,
        include,
        exclude,
        scope: namespace.scope,
        max_builds: namespace.max_builds,
    })
}

#[cfg(test)]
mod tests;
