//! Plans a namespace again: because its origins or packages of its graph changed, or because
//! somebody asked for it. What is as before is carried over, only the rest is built.

use std::collections::{BTreeMap, BTreeSet};

use buildbtw_model::api::{CreateIteration, IterationChange, ProblemKind};
use buildbtw_model::{Architecture, ChangeKind, CommitHash, Pkgbase};
use buildbtw_planner::BuildSnapshot;

use crate::db::builds::{self, BuildRow};
use crate::db::iterations::IterationRow;
use crate::db::namespaces::NamespaceRow;
use crate::db::{Database, iterations, namespaces, packages, retired_packages};
use crate::error::{Error, Refusal};
use crate::planning::queue::Caller;
use crate::sources::{self, Freshness, ResolvedChangeset, Sources};
use crate::state::AppState;

use super::create_namespace::{check_bootstrap, patterns};
use super::iteration_graph::IterationGraph;
use super::iteration_settings::Settings;
use super::plan_iteration::{self, FilesBefore, PlanInput};
use super::refusals;
use super::transitions::Transition;

/// Why a namespace is planned again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// Somebody asked.
    Requested {
        /// Whether to plan with what the base repositories hold now.
        refresh_base: bool,
    },
    /// Something changed in a source repository. Nothing is done if the plan is as before.
    SourcesChanged,
}

/// How many names a reason lists.
const SHOWN: usize = 5;

/// Makes a new iteration because somebody asked for it.
///
/// # Errors
/// See `new_iteration_after`; when others plan the namespace at the same time.
pub async fn request_iteration(
    state: &AppState,
    namespace: &NamespaceRow,
    request: &CreateIteration,
    caller: Caller,
) -> Result<(), Error> {
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
    for _ in 0..TRIES {
        let old = newest(&state.database, namespace).await?;
        let made = make(state, namespace, &old, trigger, &wanted, caller).await?;
        // An iteration that somebody else has made meanwhile knows nothing of the settings.
        if made.is_some() || wanted.is_none() {
            return Ok(());
        }
    }
    Err(Refusal::new(
        ProblemKind::Conflict,
        format!(
            "'{}' was planned again by others at the same time",
            namespace.name
        ),
    )
    .hint("try again")
    .into())
}

/// How often a plan with other settings is made when others plan the same namespace.
const TRIES: usize = 3;

async fn newest(database: &Database, namespace: &NamespaceRow) -> Result<IterationRow, Error> {
    let newest = iterations::newest(database.read(), namespace.id).await?;
    Ok(newest.ok_or_else(|| anyhow::anyhow!("namespace {} has no iteration", namespace.name))?)
}

/// Makes a new iteration and returns its number; `None` when nothing changed and nobody asked, or the newest
/// iteration is not this one any more.
///
/// # Errors
/// When an origin cannot be resolved any more, the repository of a member or a base repository cannot be used, or
/// the plan is too large.
pub(crate) async fn new_iteration_after(
    state: &AppState,
    namespace: &NamespaceRow,
    old: &IterationRow,
    trigger: Trigger,
    caller: Caller,
) -> Result<Option<u32>, Error> {
    make(state, namespace, old, trigger, &Settings::default(), caller).await
}

async fn make(
    state: &AppState,
    namespace: &NamespaceRow,
    old: &IterationRow,
    trigger: Trigger,
    settings: &Settings<'_>,
    caller: Caller,
) -> Result<Option<u32>, Error> {
    let freshness = match trigger {
        Trigger::Requested { .. } => catch_up(state, namespace, Vec::new()).await?,
        Trigger::SourcesChanged => Freshness::Current,
    };
    let input = plan_input(state, namespace, old, trigger, settings).await?;
    let mut planned = plan_iteration::plan(state, caller, &input).await?;
    planned.note_sources(&freshness, None, &input.origins);
    let (before, files) = old_snapshots(&state.database, old).await?;
    let changes = changes(&before, &planned.snapshots(&files));
    keep_members(&state.sources, &input, &changes).await?;
    let (footprints, seen) = (planned.footprints(), planned.seen());
    let moved = moved_origins(&state.database, old, &input.origins).await?;
    if trigger == Trigger::SourcesChanged && changes.is_empty() && moved.is_empty() {
        state
            .replans
            .planned(namespace.id, footprints, &state.sources, seen);
        refusals::clear(state, namespace.id).await?;
        return Ok(None);
    }
    let reason = reason(trigger, &moved, &changes);
    let mut transition = Transition::begin(&state.database, &state.clock).await?;
    let current = namespaces::by_id(transition.connection(), namespace.id).await?;
    if current.is_none_or(|current| current.held_at.is_some()) {
        transition.undo().await?;
        return match trigger {
            Trigger::SourcesChanged => Ok(None),
            Trigger::Requested { .. } => Err(Refusal::new(
                ProblemKind::Conflict,
                format!("'{}' is cancelled", namespace.name),
            )
            .hint("`resume` it; that plans it again if its sources changed")
            .into()),
        };
    }
    let newest = iterations::newest(transition.connection(), namespace.id).await?;
    if newest.map(|newest| newest.id) != Some(old.id) {
        // Somebody else was faster; that iteration saw at least what this one has seen.
        transition.undo().await?;
        return Ok(None);
    }
    let tx = transition.tx();
    namespaces::change(tx, namespace.id, &input.bootstrap, input.same_sonames).await?;
    let (iteration, number) = iterations::insert(tx, namespace.id, &reason).await?;
    plan_iteration::store(&mut transition, iteration, &input.origins, planned).await?;
    iterations::insert_changes(transition.tx(), iteration, &changes).await?;
    transition.superseded(old, number).await?;
    transition.planned(namespace.id, iteration, &reason).await?;
    let effects = transition.commit().await?;
    state
        .replans
        .planned(namespace.id, footprints, &state.sources, seen);
    state.announce(effects);
    tracing::info!(
        namespace.name = namespace.name.as_str(),
        iteration.number = number,
        reason,
        "planned a new iteration"
    );
    Ok(Some(number))
}

/// Refuses a plan that lacks a member only because its repository cannot be used just now: the rebuild would
/// end without it. The fix of the repository leads to a plan again.
async fn keep_members(
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

/// Waits until the index holds what was pushed to the sources before somebody asked for a plan. The
/// repositories of the origins, and of some `others`, are read in any case.
pub(super) async fn catch_up(
    state: &AppState,
    namespace: &NamespaceRow,
    others: Vec<Pkgbase>,
) -> Result<Freshness, Error> {
    let origins = namespaces::origins(state.database.read(), namespace.id).await?;
    let origins = origins.into_iter().map(|origin| origin.pkgbase);
    let pkgbases: Vec<_> = origins.chain(others).collect();
    Ok(state.sources.catch_up(&pkgbases).await)
}

async fn plan_input(
    state: &AppState,
    namespace: &NamespaceRow,
    old: &IterationRow,
    trigger: Trigger,
    settings: &Settings<'_>,
) -> Result<PlanInput, Error> {
    let reader = state.database.read();
    let before = iterations::origins(reader, old.id).await?;
    let mut origins = Vec::new();
    for changeset in namespaces::origins(reader, namespace.id).await? {
        let known = before.iter().find(|(known, _)| *known == changeset);
        let known = known.map(|(_, commit)| commit);
        origins.push(state.sources.resolve_again(&changeset, known).await?);
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
        network: state.config.network.effective(namespace.network),
        produced,
        snapshot: snapshot
            .map(|(architecture, repository, digest)| ((architecture, repository), digest))
            .collect(),
        refresh_base: trigger == Trigger::Requested { refresh_base: true },
    })
}

type Snapshots = Vec<(Architecture, Vec<BuildSnapshot>)>;

async fn old_snapshots(
    database: &Database,
    old: &IterationRow,
) -> Result<(Snapshots, FilesBefore), Error> {
    let reader = database.read();
    let rows = builds::of_iteration(reader, old.id).await?;
    let edges = builds::edges(reader, old.id).await?;
    let graph = IterationGraph::new(&rows, &edges);
    let needs = |row: &BuildRow| {
        let needed = graph.needs(row.id);
        let needed = needed.filter(|needed| needed.architecture == row.architecture);
        let keys = needed.map(|needed| (needed.pkgbase.clone(), needed.stage));
        keys.collect()
    };
    let mut snapshots: BTreeMap<Architecture, Vec<BuildSnapshot>> = BTreeMap::new();
    for row in &rows {
        snapshots
            .entry(row.architecture.clone())
            .or_default()
            .push(BuildSnapshot {
                pkgbase: row.pkgbase.clone(),
                stage: row.stage,
                revision: row.commit.to_string(),
                needs: needs(row),
            });
    }
    let files = rows
        .into_iter()
        .map(|row| (row.pkgbase, (row.commit, row.tree)));
    let files = files.collect();
    Ok((snapshots.into_iter().collect(), files))
}

/// What became of every build since the iteration before.
fn changes(old: &Snapshots, new: &Snapshots) -> Vec<IterationChange> {
    let mut changes = Vec::new();
    for (architecture, new) in new {
        let before = old.iter().find(|(other, _)| other == architecture);
        let before = before
            .map(|(_, builds)| builds.as_slice())
            .unwrap_or_default();
        let diff = buildbtw_planner::diff(before, new);
        let commit = |builds: &[BuildSnapshot], key: &(buildbtw_model::Pkgbase, u32)| {
            let build = builds
                .iter()
                .find(|build| build.pkgbase == key.0 && build.stage == key.1)?;
            build.revision.parse::<CommitHash>().ok()
        };
        let mut push = |key: &(buildbtw_model::Pkgbase, u32), kind| {
            changes.push(IterationChange {
                architecture: architecture.clone(),
                pkgbase: key.0.clone(),
                stage: key.1,
                kind,
                from: commit(before, key),
                to: commit(new, key),
            });
        };
        let changed = diff
            .changed
            .iter()
            .map(|changed| (changed.pkgbase.clone(), changed.stage));
        changed.for_each(|key| push(&key, ChangeKind::Changed));
        diff.added
            .iter()
            .for_each(|key| push(key, ChangeKind::Added));
        diff.removed
            .iter()
            .for_each(|key| push(key, ChangeKind::Removed));
        diff.rewired
            .iter()
            .for_each(|key| push(key, ChangeKind::Rewired));
    }
    changes
}

/// The origins whose refs name other files than before.
async fn moved_origins(
    database: &Database,
    old: &IterationRow,
    now: &[ResolvedChangeset],
) -> Result<Vec<String>, Error> {
    let before = iterations::fixed_origins(database.read(), old.id).await?;
    let moved = now.iter().filter(|origin| {
        !before.iter().any(|before| {
            before.changeset == origin.changeset
                && origin
                    .head
                    .has_files_of(&before.commit, before.tree.as_ref())
        })
    });
    Ok(moved
        .map(|origin| {
            format!(
                "{} moved to {}",
                origin.changeset,
                origin.head.commit.short()
            )
        })
        .collect())
}

fn reason(trigger: Trigger, moved: &[String], changes: &[IterationChange]) -> String {
    let mut reasons: Vec<String> = moved.to_vec();
    if let Trigger::Requested { refresh_base } = trigger {
        let base = if refresh_base {
            ", with the base repositories as they are now"
        } else {
            ""
        };
        reasons.push(format!("requested{base}"));
    }
    let mut changed: Vec<_> = changes
        .iter()
        .filter(|change| change.kind == ChangeKind::Changed)
        .map(|change| change.pkgbase.as_str())
        .filter(|pkgbase| {
            !moved
                .iter()
                .any(|text| text.starts_with(&format!("{pkgbase}/")))
        })
        .collect();
    changed.sort_unstable();
    changed.dedup();
    if !changed.is_empty() {
        let more = changed.len().saturating_sub(SHOWN);
        changed.truncate(SHOWN);
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        reasons.push(format!("new commits of {}{more}", changed.join(", ")));
    }
    if reasons.is_empty() {
        reasons.push("the dependencies between packages changed".into());
    }
    reasons.join("; ")
}
