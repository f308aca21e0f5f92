//! `retry`: requeues failed builds.

mod newer;

use std::collections::BTreeSet;

use buildbtw_model::api::{
    NewerCommit, NotBuilt, Problem, ProblemKind, RetriedBuild, RetriedBuilds, RetryBuilds,
};
use buildbtw_model::{BuildStatus, Explanation, NamespaceName, NotBuiltKind, Pkgbase};

use crate::db::Database;
use crate::db::builds::{self, BuildRow};
use crate::db::iterations::{self, IterationRow};
use crate::db::namespaces::NamespaceRow;
use crate::db::source_repositories::{SourceProblem, SourceRepositoryRow};
use crate::error::{Error, Refusal};
use crate::principal::Principal;
use crate::sources;
use crate::state::parts::PlanningParts;

use super::new_iteration::{Trigger, cancelled, catch_up, new_iteration_after};
use super::read::find::{find_namespace, no_iteration};
use super::transitions::Transition;

/// The maximum number of repositories of failed builds that are read again first.
const MAX_REREAD: usize = 50;

/// Requeues the failed builds of the newest iteration, and unblocks their dependents: all, or those of some
/// pkgbases. Ends the backoff of builds after infrastructure failures. Reports newer commits, and builds them in a new
/// iteration on request, or if an origin has one, because origins are always followed.
///
/// # Errors
/// When the namespace is held, one of the pkgbases has nothing to retry, or the newest commits are requested and one
/// cannot be used; nothing was changed then.
pub async fn retry(
    parts: PlanningParts<'_>,
    by: &Principal,
    name: &NamespaceName,
    request: &RetryBuilds,
) -> Result<RetriedBuilds, Error> {
    let namespace = find_namespace(parts.database, name).await?;
    if namespace.held_at.is_some() {
        return Err(cancelled(&namespace.name));
    }
    // Newer commits are relative to this iteration: another may be planned while the sources are read.
    let before = newest(parts.database, &namespace).await?;
    let all = builds::of_iteration(parts.database.read(), before.id).await?;
    check_pkgbases(&request.pkgbases, &before, &all)?;
    catch_up(parts.database, parts.sources, &namespace, failed(&all)).await?;
    let newer = newer::commits(parts.database, parts.sources, &before, &all).await?;
    let unusable = newer::unusable(parts.database, parts.sources, &before, &all).await?;
    if newest(parts.database, &namespace).await?.id != before.id {
        return planned(parts.database, &namespace, request, newer.commits).await;
    }
    let mut not_built: Vec<_> = unusable.iter().map(not_built_for).collect();
    // An attempt at a commit that no longer exists would fail, although a newer commit has the same files.
    let is_asked = |pkgbase| request.pkgbases.is_empty() || request.pkgbases.contains(pkgbase);
    let is_lost = newer.lost.iter().any(is_asked) && unusable.is_empty();
    if request.latest || is_lost {
        if let Some(row) = unusable.first() {
            return Err(sources::broken(row));
        }
        if !newer.commits.is_empty() {
            let trigger = Trigger::Requested {
                refresh_base: false,
            };
            new_iteration_after(parts, &namespace, &before, trigger, Some(by)).await?;
            return planned(parts.database, &namespace, request, newer.commits).await;
        }
    } else if newer.is_followed {
        // An attempt at the old commit would be superseded immediately.
        let trigger = Trigger::SourcesChanged;
        if let Err(error) = new_iteration_after(parts, &namespace, &before, trigger, Some(by)).await
            && (not_built.is_empty() || !error.is_broken_source())
        {
            not_built.push(not_planned(error));
        }
    }
    let (commits, reasons) = (&newer.commits, &not_built);
    let retried = retry_builds(parts, by, &before, &namespace, request, commits, reasons);
    match retried.await? {
        None => planned(parts.database, &namespace, request, newer.commits).await,
        Some(retried) => Ok(RetriedBuilds {
            iteration: before.number,
            builds: retried.into_iter().map(retried_build).collect(),
            newer: newer.commits,
            is_new: false,
            not_built,
        }),
    }
}

/// Refuses packages that an iteration does not build.
fn check_pkgbases(
    pkgbases: &[Pkgbase],
    iteration: &IterationRow,
    all: &[BuildRow],
) -> Result<(), Error> {
    let is_built = |pkgbase: &&Pkgbase| all.iter().any(|build| build.pkgbase == **pkgbase);
    match pkgbases.iter().find(|pkgbase| !is_built(pkgbase)) {
        None => Ok(()),
        Some(pkgbase) => {
            let title = format!(
                "iteration {} of `{}` has no build of `{pkgbase}`",
                iteration.number, iteration.namespace
            );
            let hint = format!("`buildbtw show {}` lists its builds", iteration.namespace);
            Err(Error::refused(ProblemKind::NotFound, title).hint(hint))
        }
    }
}

/// Returns the pkgbases of failed builds, up to the number whose repositories are read again.
fn failed(all: &[BuildRow]) -> Vec<Pkgbase> {
    let failed = all.iter().filter(|b| b.status == BuildStatus::Failed);
    let failed: BTreeSet<_> = failed.map(|build| build.pkgbase.clone()).collect();
    failed.into_iter().take(MAX_REREAD).collect()
}

/// Explains why a plan of newer commits failed. The cause of an internal error is only logged.
pub(super) fn not_planned(error: Error) -> NotBuilt {
    let Problem { title, hint, .. } = error.into_problem();
    let why = Explanation {
        message: title,
        hint,
    };
    NotBuilt {
        kind: NotBuiltKind::NotPlanned,
        text: format!("cannot plan the newer commits: {}", why.in_one_line()),
    }
}

pub(super) fn not_built_for(row: &SourceRepositoryRow) -> NotBuilt {
    let problem = row.problem.as_ref();
    let problem = problem.map_or_else(|| "".into(), SourceProblem::explanation);
    let unusable = sources::is_unusable(row);
    let explanation =
        problem.map(|message| format!("{unusable}: {message}; its newest commit is not built"));
    NotBuilt {
        kind: NotBuiltKind::UnusableSource,
        text: explanation.in_one_line(),
    }
}

async fn newest(database: &Database, namespace: &NamespaceRow) -> Result<IterationRow, Error> {
    let newest = iterations::newest(database.read(), namespace.id).await?;
    newest.ok_or_else(|| no_iteration(&namespace.name))
}

/// Returns the open builds of an iteration that was just planned, which replace new attempts.
async fn planned(
    database: &Database,
    namespace: &NamespaceRow,
    request: &RetryBuilds,
    newer: Vec<NewerCommit>,
) -> Result<RetriedBuilds, Error> {
    let newest = newest(database, namespace).await?;
    let builds = builds::of_iteration(database.read(), newest.id).await?;
    let is_wanted = |build: &BuildRow| {
        let asked = &request.pkgbases;
        build.packages_attempt_id.is_none() && (asked.is_empty() || asked.contains(&build.pkgbase))
    };
    Ok(RetriedBuilds {
        iteration: newest.number,
        builds: builds
            .into_iter()
            .filter(is_wanted)
            .map(retried_build)
            .collect(),
        newer,
        is_new: true,
        not_built: Vec::new(),
    })
}

/// Requeues builds; `None` when `before` is no longer the newest iteration.
async fn retry_builds(
    parts: PlanningParts<'_>,
    by: &Principal,
    before: &IterationRow,
    namespace: &NamespaceRow,
    request: &RetryBuilds,
    newer: &[NewerCommit],
    not_built: &[NotBuilt],
) -> Result<Option<Vec<BuildRow>>, Error> {
    let name = &namespace.name;
    let mut tx = parts.database.write().await?;
    let newest = iterations::newest(tx.connection(), namespace.id).await?;
    let newest = newest.ok_or_else(|| no_iteration(name))?;
    if newest.id != before.id {
        tx.undo().await?;
        return Ok(None);
    }
    let mut transition = Transition::of(tx).by(Some(by));
    let mut retried = Vec::new();
    if request.pkgbases.is_empty() {
        retried = transition.retry(&newest, None).await?;
    }
    for pkgbase in &request.pkgbases {
        let builds = transition.retry(&newest, Some(pkgbase)).await?;
        if builds.is_empty() && !retried.iter().any(|build| build.pkgbase == *pkgbase) {
            transition.undo().await?;
            let refusal = nothing_to_retry(parts.database, &newest, pkgbase).await?;
            return Err(with_hint(refusal, name, newer, not_built));
        }
        retried.extend(builds);
    }
    if retried.is_empty() {
        transition.undo().await?;
        let title = format!(
            "no build has failed in iteration {} of `{name}`",
            newest.number
        );
        let refusal = Refusal::new(ProblemKind::Conflict, title);
        return Err(with_hint(refusal, name, newer, not_built));
    }
    transition
        .record_retry(&newest, &described(&retried))
        .await?;
    let effects = transition.commit().await?;
    parts.announcer.announce(effects);
    Ok(Some(retried))
}

/// The most packages whose names an activity has.
const MAX_NAMES: usize = 5;

/// Describes which builds are retried.
fn described(retried: &[BuildRow]) -> String {
    let names: BTreeSet<_> = retried.iter().map(|build| build.pkgbase.as_str()).collect();
    let more = names.len().saturating_sub(MAX_NAMES);
    let shown: Vec<_> = names.into_iter().take(MAX_NAMES).collect();
    match more {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

pub(super) fn with_hint(
    mut refusal: Refusal,
    name: &NamespaceName,
    newer: &[NewerCommit],
    not_built: &[NotBuilt],
) -> Error {
    if !not_built.is_empty() {
        let reasons: Vec<_> = not_built
            .iter()
            .map(|reason| reason.text.as_str())
            .collect();
        refusal = refusal.detail(reasons.join("\n"));
    }
    if newer.is_empty() {
        let hint = format!("`buildbtw show {name}` shows the status of its builds");
        return refusal.hint(hint).into();
    }
    let names: Vec<_> = newer.iter().map(|newer| newer.pkgbase.as_str()).collect();
    refusal
        .hint(format!(
            "there are newer commits of {}; `buildbtw retry {name} --latest` builds them",
            names.join(", ")
        ))
        .into()
}

fn retried_build(build: BuildRow) -> RetriedBuild {
    RetriedBuild {
        id: build.id,
        pkgbase: build.pkgbase,
        architecture: build.architecture,
        stage: build.stage,
    }
}

async fn nothing_to_retry(
    database: &Database,
    newest: &IterationRow,
    pkgbase: &Pkgbase,
) -> Result<Refusal, Error> {
    let all = builds::of_iteration(database.read(), newest.id).await?;
    let own: Vec<String> = all
        .iter()
        .filter(|build| build.pkgbase == *pkgbase)
        .map(|build| build.status.to_string())
        .collect();
    let own = own.join(" and ");
    let title = format!("`{pkgbase}` has not failed: it is {own}");
    Ok(Refusal::new(ProblemKind::Conflict, title))
}
