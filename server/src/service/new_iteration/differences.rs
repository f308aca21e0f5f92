//! The changes of a new iteration since the previous one.

use std::collections::{BTreeMap, BTreeSet};

use buildbtw_model::api::IterationChange;
use buildbtw_model::{Architecture, ChangeKind, Changeset, CommitHash, IterationCause, Pkgbase};
use buildbtw_planner::BuildSnapshot;

use crate::db::builds::{self, BuildRow};
use crate::db::iterations::IterationRow;
use crate::db::{Database, iterations};
use crate::error::Error;
use crate::service::iteration_graph::IterationGraph;
use crate::service::iteration_settings::Edit;
use crate::service::plan_iteration::FilesBefore;
use crate::sources::ResolvedChangeset;

use super::trigger::Trigger;

/// The builds of an iteration, by architecture.
pub(super) type Snapshots = Vec<(Architecture, Vec<BuildSnapshot>)>;

/// Returns the builds of an iteration, and the commits and trees that they are built from.
pub(super) async fn old_snapshots(
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

/// Returns the changes of builds since the previous iteration.
pub(super) fn changes(old: &Snapshots, new: &Snapshots) -> Vec<IterationChange> {
    let mut changes = Vec::new();
    for (architecture, new) in new {
        let before = old.iter().find(|(other, _)| other == architecture);
        let before = before
            .map(|(_, builds)| builds.as_slice())
            .unwrap_or_default();
        let diff = buildbtw_planner::diff(before, new);
        let commit = |builds: &[BuildSnapshot], key: &(Pkgbase, u32)| {
            let build = builds
                .iter()
                .find(|build| build.pkgbase == key.0 && build.stage == key.1)?;
            build.revision.parse::<CommitHash>().ok()
        };
        let mut push = |key: &(Pkgbase, u32), kind| {
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

/// Returns the origins whose refs point to other files than before.
pub(super) async fn moved_origins(
    database: &Database,
    old: &IterationRow,
    now: &[ResolvedChangeset],
) -> Result<Vec<(Changeset, CommitHash)>, Error> {
    let before = iterations::fixed_origins(database.read(), old.id).await?;
    let moved = now.iter().filter(|origin| {
        !before.iter().any(|before| {
            before.changeset == origin.changeset
                && origin
                    .head
                    .has_files_of(&before.commit, before.tree.as_ref())
        })
    });
    let moved = moved.map(|origin| (origin.changeset.clone(), origin.head.commit.clone()));
    Ok(moved.collect())
}

/// Returns why an iteration is planned.
pub(super) fn causes(
    trigger: Trigger,
    moved: Vec<(Changeset, CommitHash)>,
    changes: &[IterationChange],
    edit: Option<&Edit>,
) -> Vec<IterationCause> {
    let is_new = |changeset: &Changeset| edit.is_some_and(|edit| !edit.before.contains(changeset));
    let moved: Vec<_> = moved
        .into_iter()
        .filter(|(changeset, _)| !is_new(changeset))
        .collect();
    let changed: BTreeSet<&Pkgbase> = changes
        .iter()
        .filter(|change| change.kind == ChangeKind::Changed)
        .map(|change| &change.pkgbase)
        .filter(|&pkgbase| moved.iter().all(|(origin, _)| origin.pkgbase != *pkgbase))
        .collect();
    let pkgbases: Vec<Pkgbase> = changed.into_iter().cloned().collect();
    let moved = moved
        .into_iter()
        .map(|(changeset, commit)| IterationCause::OriginMoved { changeset, commit });
    let mut causes: Vec<IterationCause> = moved.collect();
    if let Some(edit) = edit {
        let changes = edit.changes.clone();
        causes.insert(0, IterationCause::Edited { changes });
    } else if let Trigger::Requested { refresh_base } = trigger {
        causes.push(IterationCause::Requested { refresh_base });
    }
    if !pkgbases.is_empty() {
        causes.push(IterationCause::NewCommits { pkgbases });
    }
    if causes.is_empty() {
        causes.push(IterationCause::DependenciesChanged);
    }
    causes
}
