//! Reports of outcomes. The response is sent only when the outcome is durable: for a success, when the repository
//! lists the packages.

use std::collections::BTreeSet;

use buildbtw_model::api::{ExpectedPackage, Outcome, OutcomeAccepted, ReportedPackage};
use buildbtw_model::{AttemptId, AttemptStatus, BuildId, Explanation, FailureKind, PackageVersion};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use crate::db::builds::BuildRow;
use crate::db::expectations::{self, ForOutcome, Release, Uploaded};
use crate::db::{Database, TokenId, attempts, builds, releases};
use crate::error::Error;
use crate::state::parts::AttemptParts;

use super::attempt_guard::{attempt_ended, check_owner, no_attempt, own_attempt};
use super::failed_attempt::{remove_uploads, sanitize};
use super::package_refusals;
use super::pipelines::{Deferral, defer};
use super::report_final_failure::report_final_failure;
use super::transitions::{Acceptance, Transition};

/// A report of an outcome.
#[derive(Clone, Debug)]
pub struct Report {
    /// The outcome.
    pub outcome: Outcome,
    /// Whether an infrastructure failure may be retried.
    pub retry: bool,
}

/// Accepts the outcome of an attempt. Repeating the same outcome changes nothing and gets the same response.
///
/// # Errors
/// When the attempt belongs to another token or has ended with another outcome, its packages are not those that the
/// plan expects, or a success is reported as final.
pub async fn report_outcome(
    parts: AttemptParts<'_>,
    token: TokenId,
    id: AttemptId,
    Report { outcome, retry }: &Report,
) -> Result<OutcomeAccepted, Error> {
    if !retry {
        return report_final_failure(parts, token, id, outcome).await;
    }
    let permit = parts.reports.acquire().await?;
    let status = match outcome {
        Outcome::Succeeded { packages } => succeeded(parts, token, id, packages, permit).await?,
        Outcome::Failed { kind, explanation } => {
            let attempt = own_attempt(parts.database, token, id).await?;
            let build = build_of(parts.database, id, attempt.build).await?;
            failed(parts, id, &build, *kind, &sanitize(explanation)).await?;
            drop(permit);
            remove_uploads(parts.repos, id).await;
            AttemptStatus::Failed
        }
    };
    parts.logs.close(id).await?;
    Ok(OutcomeAccepted { status })
}

async fn build_of(database: &Database, id: AttemptId, build: BuildId) -> Result<BuildRow, Error> {
    builds::by_id(database.read(), build)
        .await?
        .ok_or_else(|| anyhow::anyhow!("attempt {id} has no build").into())
}

/// Accepts a failure. One whose cause only GitLab knows is deferred.
async fn failed(
    parts: AttemptParts<'_>,
    id: AttemptId,
    build: &BuildRow,
    kind: FailureKind,
    explanation: &Explanation,
) -> Result<(), Error> {
    let mut tx = parts.database.write().await?;
    let Some(attempt) = attempts::by_id(tx.connection(), id).await? else {
        tx.undo().await?;
        return Err(attempt_ended(id));
    };
    let is_repeated = attempt.status == AttemptStatus::Failed
        && attempt.failure == Some(kind)
        && attempt.explanation().as_ref() == Some(explanation);
    if is_repeated {
        tx.undo().await?;
        return Ok(());
    }
    let deferral = defer(
        parts.pipelines.is_some(),
        &mut tx,
        &attempt,
        kind,
        explanation,
    )
    .await?;
    let mut transition = Transition::of(tx);
    let is_taken = match deferral {
        Deferral::Yes => {
            // Wakes the actor that queries GitLab.
            transition.stop_attempts();
            true
        }
        Deferral::Repeated => true,
        Deferral::Contradicts => false,
        Deferral::No => transition.fail(build, &attempt, kind, explanation).await?,
    };
    if !is_taken {
        transition.undo().await?;
        return Err(attempt_ended(id));
    }
    let effects = transition.commit().await?;
    parts.announcer.announce(effects);
    Ok(())
}

async fn succeeded(
    parts: AttemptParts<'_>,
    token: TokenId,
    id: AttemptId,
    reported: &[ReportedPackage],
    permit: OwnedSemaphorePermit,
) -> Result<AttemptStatus, Error> {
    let expected = expectations::for_outcome(parts.database.read(), id)
        .await?
        .ok_or_else(|| no_attempt(id))?;
    check_owner(expected.token, token)?;
    let build = build_of(parts.database, id, expected.build).await?;
    let checked = check_uploaded(reported, &expected.uploaded);
    let mut accepted = None;
    match expected.status {
        AttemptStatus::Queued | AttemptStatus::Running => {
            checked?;
            check_expected(parts.database, &build, &expected).await?;
            let version = common_version(&expected.uploaded)?;
            let mut transition = Transition::of(parts.database.write().await?);
            match transition.accept(&build, id, &version).await? {
                Acceptance::Accepted => {
                    let effects = transition.commit().await?;
                    accepted = Some(Instant::now());
                    parts.announcer.announce(effects);
                }
                refused => {
                    // Also when the same report arrived twice concurrently and the other one was accepted: wait until
                    // that is durable before responding.
                    transition.undo().await?;
                    check_not_refused(id, refused)?;
                }
            }
        }
        // Accepted before: the response was lost, or publishing failed.
        AttemptStatus::Succeeded => checked.map_err(|_| attempt_ended(id))?,
        AttemptStatus::Failed | AttemptStatus::Lost => return Err(attempt_ended(id)),
    }
    // Other reports may be accepted meanwhile, and published together with this one.
    drop(permit);
    parts.announcer.publish(build.id, accepted).await?;
    Ok(AttemptStatus::Succeeded)
}

/// Checks that a success was accepted, by this report or an equal one.
fn check_not_refused(id: AttemptId, acceptance: Acceptance) -> Result<(), Error> {
    match acceptance {
        Acceptance::Accepted | Acceptance::AcceptedBefore => Ok(()),
        Acceptance::Conflict(file_name) => Err(package_refusals::known_file(&file_name)),
        Acceptance::Ended => Err(attempt_ended(id)),
    }
}

/// Checks that every reported package was uploaded with the same digest, and that every uploaded one is reported.
fn check_uploaded(reported: &[ReportedPackage], uploaded: &[Uploaded]) -> Result<(), Error> {
    let reported: BTreeSet<_> = reported
        .iter()
        .map(|package| (&package.file_name, &package.sha256))
        .collect();
    let uploaded: BTreeSet<_> = uploaded
        .iter()
        .map(|package| (&package.file_name, &package.sha256))
        .collect();
    if let Some((missing, _)) = reported.difference(&uploaded).next() {
        return Err(package_refusals::not_uploaded(missing));
    }
    if let Some((extra, _)) = uploaded.difference(&reported).next() {
        return Err(package_refusals::not_listed(extra));
    }
    Ok(())
}

/// Checks that all planned packages exist, with the planned version or, if `pkgver()` computes it, with another one
/// that no other package in the repository has.
async fn check_expected(
    database: &Database,
    build: &BuildRow,
    expected: &ForOutcome,
) -> Result<(), Error> {
    for ExpectedPackage { name, .. } in expected.outputs.iter() {
        if !expected
            .uploaded
            .iter()
            .any(|package| package.pkgname == *name)
        {
            return Err(package_refusals::missing(name));
        }
    }
    for package in expected.uploaded.iter() {
        check_version(database, build, expected.release.as_deref(), package).await?;
    }
    Ok(())
}

/// Checks that a package has the planned version, one that `pkgver()` computed, or the next release of the planned
/// one if the namespace has produced that meanwhile, and that a rebuild installs over the base repositories.
async fn check_version(
    database: &Database,
    build: &BuildRow,
    release: Option<&Release>,
    package: &Uploaded,
) -> Result<(), Error> {
    let (found, planned) = (&package.version, &build.version);
    let is_moved = found.without_pkgrel() != planned.without_pkgrel();
    // Builds that were planned before releases were recorded may only have newer versions.
    let may_move = release.is_some() || found.compare(planned).is_gt();
    let earlier = match found == planned {
        true => Vec::new(),
        false => releases::earlier(database.read(), build, None).await?,
    };
    // An attempt of an earlier iteration may have been accepted after this plan was made.
    let is_raised = !is_moved
        && found.compare(planned).is_gt()
        && earlier.iter().any(|known| {
            known.without_pkgrel() == planned.without_pkgrel() && known.compare(planned).is_ge()
        });
    if found != planned && !is_raised && !(is_moved && may_move) {
        return Err(package_refusals::other_version(package, planned));
    }
    let Some(release) = release else {
        return Ok(());
    };
    let mut base = release.base.iter();
    if release.is_rebuild
        && let Some(other) = base.find(|base| base.compare(found).is_ge())
    {
        return Err(package_refusals::older_than_base(package, other));
    }
    if earlier.contains(found) {
        return Err(package_refusals::known_version(package));
    }
    Ok(())
}

fn common_version(uploaded: &[Uploaded]) -> Result<PackageVersion, Error> {
    // All packages of a PKGBUILD have its version (PKGBUILD(5), `pkgver`).
    if let [first, rest @ ..] = uploaded
        && let Some(other) = rest.iter().find(|package| package.version != first.version)
    {
        return Err(package_refusals::two_versions(
            &first.file_name,
            &other.file_name,
        ));
    }
    uploaded
        .first()
        .map(|package| package.version.clone())
        .ok_or_else(package_refusals::no_package)
}
