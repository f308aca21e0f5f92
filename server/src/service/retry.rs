//! `retry`: new attempts for failed builds.

use buildbtw_model::api::{ProblemKind, RetriedBuild, RetriedBuilds};
use buildbtw_model::{NamespaceName, Pkgbase};

use crate::app_state::AppState;
use crate::db::{builds, iterations, unsigned};
use crate::error::{Error, Refusal};

use super::queries::find_namespace;
use super::transitions::Transition;

/// Makes failed builds of the newest iteration ready again, and what waited for them with them: all,
/// or those of some pkgbases. Builds that pause after an infrastructure failure go on at once.
///
/// # Errors
/// When the namespace is held, or one of the pkgbases has nothing to try again; nothing was changed
/// then.
pub async fn retry(
    state: &AppState,
    name: &NamespaceName,
    pkgbases: &[Pkgbase],
) -> Result<RetriedBuilds, Error> {
    let namespace = find_namespace(state, name).await?;
    if namespace.held_at.is_some() {
        return Err(
            Refusal::new(ProblemKind::Conflict, format!("'{name}' is cancelled"))
                .hint("`resume` it first")
                .into(),
        );
    }
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
            return Err(nothing_to_retry(&mut transition, &newest, pkgbase).await?);
        }
        retried.extend(builds);
    }
    if retried.is_empty() {
        let title = format!(
            "nothing has failed in iteration {} of '{name}'",
            newest.number
        );
        return Err(Error::refused(ProblemKind::Conflict, title));
    }
    let effects = transition.commit().await?;
    state.announce(effects);
    Ok(RetriedBuilds {
        iteration: unsigned(newest.number),
        builds: retried
            .into_iter()
            .map(|build| RetriedBuild {
                id: build.id,
                pkgbase: build.pkgbase,
                architecture: build.architecture,
                stage: unsigned(build.stage),
            })
            .collect(),
    })
}

async fn nothing_to_retry(
    transition: &mut Transition,
    newest: &iterations::IterationRow,
    pkgbase: &Pkgbase,
) -> Result<Error, Error> {
    let all = builds::of_iteration(&mut *transition.tx.connection(), newest.id).await?;
    let own: Vec<String> = all
        .iter()
        .filter(|build| build.pkgbase == *pkgbase)
        .map(|build| build.status.to_string())
        .collect();
    Ok(if own.is_empty() {
        Error::not_found(format!(
            "build of '{pkgbase}' in iteration {} of '{}'",
            newest.number, newest.namespace
        ))
    } else {
        let title = format!("'{pkgbase}' has not failed: it is {}", own.join(" and "));
        Error::refused(ProblemKind::Conflict, title)
    })
}
