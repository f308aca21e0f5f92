//! `retry`: new attempts for failed builds.

use std::collections::BTreeMap;

use buildbtw_model::api::{NewerCommit, ProblemKind, RetriedBuild, RetriedBuilds, RetryBuilds};
use buildbtw_model::{BuildStatus, NamespaceName, Pkgbase};

use crate::app_state::AppState;
use crate::db::builds::{self, BuildRow};
use crate::db::iterations::{self, IterationRow};
use crate::db::namespaces::NamespaceRow;
use crate::db::unsigned;
use crate::error::{Error, Refusal};

use super::new_iteration::{Trigger, catch_up, new_iteration};
use super::queries::find_namespace;
use super::transitions::Transition;

/// Makes failed builds of the newest iteration ready again, and what waited for them with them: all,
/// or those of some pkgbases. Builds that pause after an infrastructure failure go on at once. Says
/// which newer commits there are, and takes them in a new iteration if that is asked for.
///
/// # Errors
/// When the namespace is held, or one of the pkgbases has nothing to try again; nothing was changed
/// then.
pub async fn retry(
    state: &AppState,
    name: &NamespaceName,
    request: &RetryBuilds,
) -> Result<RetriedBuilds, Error> {
    let namespace = find_namespace(state, name).await?;
    if namespace.held_at.is_some() {
        return Err(
            Refusal::new(ProblemKind::Conflict, format!("'{name}' is cancelled"))
                .hint("`resume` it first")
                .into(),
        );
    }
    catch_up(state, &namespace).await?;
    let newest = newest(state, &namespace).await?;
    let all = builds::of_iteration(state.database.read(), newest.id).await?;
    for pkgbase in &request.pkgbases {
        if !all.iter().any(|build| build.pkgbase == *pkgbase) {
            return Err(Error::not_found(format!(
                "build of '{pkgbase}' in iteration {} of '{name}'",
                newest.number
            )));
        }
    }
    let newer = newer_commits(state, &newest, &all).await?;
    if request.latest && !newer.is_empty() {
        return take_newer(state, &namespace, request, newer).await;
    }
    let (iteration, retried) = try_again(state, &namespace, &request.pkgbases, &newer).await?;
    Ok(RetriedBuilds {
        iteration,
        builds: retried.into_iter().map(retried_build).collect(),
        newer,
        is_new: false,
    })
}

async fn newest(state: &AppState, namespace: &NamespaceRow) -> Result<IterationRow, Error> {
    let newest = iterations::newest(state.database.read(), namespace.id).await?;
    newest.ok_or_else(|| Error::not_found(format!("iteration of '{}'", namespace.name)))
}

/// Newer commits of the origins and of the packages whose builds failed, as far as they hold other files.
async fn newer_commits(
    state: &AppState,
    iteration: &IterationRow,
    all: &[BuildRow],
) -> Result<Vec<NewerCommit>, Error> {
    let mut newer: BTreeMap<Pkgbase, NewerCommit> = BTreeMap::new();
    let origins = iterations::fixed_origins(state.database.read(), iteration.id).await?;
    for origin in &origins {
        // A ref that is gone, or a forge that is away, must not keep anybody from trying again.
        if let Ok(Some(to)) = state.sources.newer_commit(origin).await {
            let pkgbase = origin.changeset.pkgbase.clone();
            let from = origin.commit.clone();
            newer.insert(pkgbase.clone(), NewerCommit { pkgbase, from, to });
        }
    }
    state.sources.with_catalog(|catalog| {
        for build in all {
            let is_origin = origins
                .iter()
                .any(|origin| origin.changeset.pkgbase == build.pkgbase);
            if build.status != BuildStatus::Failed || is_origin {
                continue;
            }
            if let Some(head) = catalog.head(&build.pkgbase)
                && !head.has_files_of(&build.commit, build.tree.as_ref())
            {
                let (pkgbase, from) = (build.pkgbase.clone(), build.commit.clone());
                let to = head.commit.clone();
                newer.insert(pkgbase.clone(), NewerCommit { pkgbase, from, to });
            }
        }
    });
    Ok(newer.into_values().collect())
}

/// Plans a new iteration, in which everything has its newest commit.
async fn take_newer(
    state: &AppState,
    namespace: &NamespaceRow,
    request: &RetryBuilds,
    newer: Vec<NewerCommit>,
) -> Result<RetriedBuilds, Error> {
    let trigger = Trigger::Requested {
        refresh_base: false,
    };
    new_iteration(state, namespace, trigger).await?;
    let newest = newest(state, namespace).await?;
    let builds = builds::of_iteration(state.database.read(), newest.id).await?;
    let is_wanted = |build: &BuildRow| {
        let asked = &request.pkgbases;
        build.packages_attempt_id.is_none() && (asked.is_empty() || asked.contains(&build.pkgbase))
    };
    Ok(RetriedBuilds {
        iteration: unsigned(newest.number),
        builds: builds
            .into_iter()
            .filter(is_wanted)
            .map(retried_build)
            .collect(),
        newer,
        is_new: true,
    })
}

async fn try_again(
    state: &AppState,
    namespace: &NamespaceRow,
    pkgbases: &[Pkgbase],
    newer: &[NewerCommit],
) -> Result<(u32, Vec<BuildRow>), Error> {
    let name = &namespace.name;
    let mut transition = Transition::begin(&state.database).await?;
    let newest = iterations::newest(&mut *transition.tx.connection(), namespace.id).await?;
    let newest = newest.ok_or_else(|| Error::not_found(format!("iteration of '{name}'")))?;
    let mut retried = Vec::new();
    if pkgbases.is_empty() {
        retried = transition.retried(&newest, None).await?;
    }
    for pkgbase in pkgbases {
        let builds = transition.retried(&newest, Some(pkgbase)).await?;
        if builds.is_empty() && !retried.iter().any(|build| build.pkgbase == *pkgbase) {
            let refusal = nothing_to_retry(&mut transition, &newest, pkgbase).await?;
            return Err(with_hint(refusal, name, newer));
        }
        retried.extend(builds);
    }
    if retried.is_empty() {
        let title = format!(
            "nothing has failed in iteration {} of '{name}'",
            newest.number
        );
        return Err(with_hint(
            Refusal::new(ProblemKind::Conflict, title),
            name,
            newer,
        ));
    }
    let effects = transition.commit().await?;
    state.announce(effects);
    Ok((unsigned(newest.number), retried))
}

fn with_hint(refusal: Refusal, name: &NamespaceName, newer: &[NewerCommit]) -> Error {
    if newer.is_empty() {
        return refusal.into();
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
        stage: unsigned(build.stage),
    }
}

async fn nothing_to_retry(
    transition: &mut Transition,
    newest: &IterationRow,
    pkgbase: &Pkgbase,
) -> Result<Refusal, Error> {
    let all = builds::of_iteration(&mut *transition.tx.connection(), newest.id).await?;
    let own: Vec<String> = all
        .iter()
        .filter(|build| build.pkgbase == *pkgbase)
        .map(|build| build.status.to_string())
        .collect();
    let own = own.join(" and ");
    let title = format!("'{pkgbase}' has not failed: it is {own}");
    Ok(Refusal::new(ProblemKind::Conflict, title))
}
