//! How an attempt ended. Answered only when nothing can undo it: for a success that is when the
//! repository lists the packages.

use std::collections::BTreeSet;

use buildbtw_model::api::{Outcome, OutcomeAccepted, ProblemKind, ReportedPackage};
use buildbtw_model::{AttemptId, AttemptStatus, FailureKind, PackageFileName, PackageVersion};
use tokio::sync::OwnedSemaphorePermit;

use crate::db::attempts::AttemptRow;
use crate::db::builds::BuildRow;
use crate::db::packages::PackageRow;
use crate::db::releases::{self, BuildRelease};
use crate::db::{Database, TokenId, attempts, builds, packages};
use crate::error::{Error, Refusal};
use crate::repos::Repos;
use crate::repos::RepositoryKey;
use crate::state::AppState;

use super::heartbeat::{ended, own_attempt};
use super::pipelines::{Deferral, defer, has_reported};
use super::transitions::Transition;

/// Takes the outcome of an attempt. The same outcome again changes nothing and gets the same answer.
///
/// # Errors
/// When the attempt is somebody else's, is over with another outcome, or its packages are not those
/// the plan expects.
pub async fn report_outcome(
    state: &AppState,
    token: TokenId,
    id: AttemptId,
    outcome: &Outcome,
) -> Result<OutcomeAccepted, Error> {
    let turn = state.reports.turn().await?;
    let attempt = own_attempt(&state.database, token, id).await?;
    let build = builds::by_id(state.database.read(), attempt.build)
        .await?
        .ok_or_else(|| anyhow::anyhow!("attempt {id} has no build"))?;
    let status = match outcome {
        Outcome::Succeeded { packages } => {
            succeeded(state, &attempt, &build, packages, turn).await?
        }
        Outcome::Failed { kind, message } => {
            failed(state, id, &build, *kind, &sanitize_message(message)).await?;
            drop(turn);
            remove_uploads(&state.repos, id).await;
            AttemptStatus::Failed
        }
    };
    state.logs.close(id).await?;
    Ok(OutcomeAccepted { status })
}

/// Takes a failure. One that only GitLab can judge is kept until it has.
async fn failed(
    state: &AppState,
    id: AttemptId,
    build: &BuildRow,
    kind: FailureKind,
    message: &str,
) -> Result<(), Error> {
    let mut transition = Transition::begin(&state.database, &state.clock).await?;
    let Some(attempt) = current(&mut transition, id).await? else {
        transition.undo().await?;
        return Err(ended(id));
    };
    let is_repeated = attempt.status == AttemptStatus::Failed
        && attempt.failure == Some(kind)
        && attempt.message.as_deref() == Some(message);
    if is_repeated {
        transition.undo().await?;
        return Ok(());
    }
    let is_taken = match defer(state, &mut transition, &attempt, kind, message).await? {
        Deferral::Yes => true,
        Deferral::Contradicts => false,
        Deferral::No => transition.failed(build, &attempt, kind, message).await?,
    };
    if !is_taken {
        transition.undo().await?;
        return Err(ended(id));
    }
    let effects = transition.commit().await?;
    state.announce(effects);
    Ok(())
}

/// The attempt as others have left it by now.
async fn current(transition: &mut Transition, id: AttemptId) -> sqlx::Result<Option<AttemptRow>> {
    attempts::by_id(transition.connection(), id).await
}

/// A message as it is stored: not too long, and without characters that steer terminals.
pub(super) fn sanitize_message(message: &str) -> String {
    let plain = |char: char| match char {
        '\n' => '\n',
        char if char.is_control() => ' ',
        char => char,
    };
    message.chars().map(plain).take(MAX_MESSAGE).collect()
}

/// Frees the space of what an attempt uploaded that ended without success.
pub(super) async fn remove_uploads(repos: &Repos, attempt: AttemptId) {
    let folder = repos.uploads(attempt);
    match fs_err::tokio::remove_dir_all(&folder).await {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            tracing::warn!(%error, "cannot remove the uploads of an attempt; retried at the next start");
        }
        _ => {}
    }
}

/// Longer messages are cut; the log has the rest.
const MAX_MESSAGE: usize = 4_000;

async fn succeeded(
    state: &AppState,
    attempt: &AttemptRow,
    build: &BuildRow,
    reported: &[ReportedPackage],
    turn: OwnedSemaphorePermit,
) -> Result<AttemptStatus, Error> {
    let uploaded = packages::of_attempt(state.database.read(), attempt.id).await?;
    let checked = check_uploaded(reported, &uploaded);
    match attempt.status {
        AttemptStatus::Queued | AttemptStatus::Running => {
            checked?;
            check_expected(&state.database, build, &uploaded).await?;
            let version = common_version(&uploaded)?;
            let mut transition = Transition::begin(&state.database, &state.clock).await?;
            if let Some(file_name) = in_use(&mut transition, build, &uploaded).await? {
                transition.undo().await?;
                let title = format!("the repository already has another {file_name}");
                return Err(Error::refused(ProblemKind::UnexpectedPackage, title));
            }
            let before = current(&mut transition, attempt.id).await?;
            let is_repeated = before.is_some_and(|row| row.status == AttemptStatus::Succeeded);
            if has_reported(&mut transition, attempt).await?
                || !is_repeated && !transition.accepted(build, attempt.id, &version).await?
            {
                transition.undo().await?;
                return Err(ended(attempt.id));
            }
            // Also when the same report came twice at once and the other one was accepted: durable
            // before it is relied on.
            let effects = transition.commit().await?;
            state.announce(effects);
        }
        // Accepted before; the answer was lost, or publishing failed.
        AttemptStatus::Succeeded => checked.map_err(|_| ended(attempt.id))?,
        AttemptStatus::Failed | AttemptStatus::Lost => return Err(ended(attempt.id)),
    }
    // Others may report meanwhile, and be published together with it.
    drop(turn);
    state.publisher.publish(build.id).await?;
    Ok(AttemptStatus::Succeeded)
}

/// Every reported package must have been uploaded as it is, and every uploaded one reported.
fn check_uploaded(reported: &[ReportedPackage], uploaded: &[PackageRow]) -> Result<(), Error> {
    let reported: BTreeSet<_> = reported
        .iter()
        .map(|package| (&package.file_name, &package.sha256))
        .collect();
    let uploaded: BTreeSet<_> = uploaded
        .iter()
        .map(|package| (&package.file_name, &package.sha256))
        .collect();
    if let Some((missing, _)) = reported.difference(&uploaded).next() {
        let title = format!("{missing} was not uploaded, or with another digest");
        return Err(Error::refused(ProblemKind::UnexpectedPackage, title));
    }
    if let Some((extra, _)) = uploaded.difference(&reported).next() {
        let title = format!("{extra} was uploaded but is not part of the outcome");
        return Err(Error::refused(ProblemKind::UnexpectedPackage, title));
    }
    Ok(())
}

/// All planned packages must be there, with the planned version or, for a PKGBUILD that makes its
/// own version, with another one that nothing else in the repository has.
async fn check_expected(
    database: &Database,
    build: &BuildRow,
    uploaded: &[PackageRow],
) -> Result<(), Error> {
    let reader = database.read();
    for expected in builds::outputs(reader, build.id).await? {
        if !uploaded
            .iter()
            .any(|package| package.pkgname == expected.name)
        {
            let title = format!("package {} is missing", expected.name);
            return Err(Error::refused(ProblemKind::UnexpectedPackage, title));
        }
    }
    let release = releases::of_build(reader, build.id).await?;
    for package in uploaded {
        check_version(database, build, release.as_ref(), package).await?;
    }
    Ok(())
}

/// A file name under which the repository has other bytes. Asked in the transaction that accepts the packages:
/// others may be accepted at the same time.
async fn in_use(
    transition: &mut Transition,
    build: &BuildRow,
    uploaded: &[PackageRow],
) -> sqlx::Result<Option<PackageFileName>> {
    let (iteration, architecture) = (build.iteration_id, &build.architecture);
    for PackageRow {
        file_name, sha256, ..
    } in uploaded
    {
        let connection = transition.connection();
        let served =
            packages::digest_in_repository(&mut *connection, iteration, architecture, file_name);
        if served.await?.is_some_and(|served| served != *sha256) {
            return Ok(Some(file_name.clone()));
        }
    }
    Ok(None)
}

/// A package has the planned version, or one that `pkgver()` computed, or the next release of the planned one
/// where the namespace has got that meanwhile. A rebuild installs over what the base repositories have.
async fn check_version(
    database: &Database,
    build: &BuildRow,
    release: Option<&BuildRelease>,
    package: &PackageRow,
) -> Result<(), Error> {
    let (found, planned) = (&package.version, &build.version);
    let refusal = |title: String| Refusal::new(ProblemKind::UnexpectedPackage, title);
    let is_moved = found.without_pkgrel() != planned.without_pkgrel();
    // Of builds that were planned before releases were recorded, only newer versions are taken.
    let may_move = release.is_some() || found.compare(planned).is_gt();
    let earlier = match found == planned {
        true => Vec::new(),
        false => releases::earlier(database.read(), build).await?,
    };
    // An attempt of an iteration before may be accepted after the plan was made.
    let is_raised = !is_moved
        && found.compare(planned).is_gt()
        && earlier.iter().any(|known| {
            known.without_pkgrel() == planned.without_pkgrel() && known.compare(planned).is_ge()
        });
    if found != planned && !is_raised && !(is_moved && may_move) {
        let title = format!(
            "{} does not have the planned version {planned}",
            package.file_name
        );
        let hint = "only a pkgver() function may change the version";
        return Err(refusal(title).hint(hint).into());
    }
    let Some(release) = release else {
        return Ok(());
    };
    let mut base = release.base.iter();
    if release.is_rebuild
        && let Some(other) = base.find(|base| base.compare(found).is_ge())
    {
        let file_name = &package.file_name;
        let title = format!("{file_name} would not install over {other} of the base repositories");
        let hint = "update the source repository, or leave the package out with --exclude";
        return Err(refusal(title).hint(hint).into());
    }
    if earlier.contains(found) {
        let title = format!(
            "this namespace has already had another package of version {found} for {}",
            package.pkgname
        );
        return Err(refusal(title).into());
    }
    Ok(())
}

fn common_version(uploaded: &[PackageRow]) -> Result<PackageVersion, Error> {
    // All packages of a PKGBUILD have its version (PKGBUILD(5), `pkgver`).
    if let [first, rest @ ..] = uploaded
        && let Some(other) = rest.iter().find(|package| package.version != first.version)
    {
        let title = format!(
            "{} and {} differ in version",
            first.file_name, other.file_name
        );
        return Err(Error::refused(ProblemKind::UnexpectedPackage, title));
    }
    uploaded
        .first()
        .map(|package| package.version.clone())
        .ok_or_else(|| {
            Error::refused(
                ProblemKind::UnexpectedPackage,
                "a success must list at least one package",
            )
        })
}

/// The repository a build publishes into.
#[must_use]
pub fn repository_of(build: &BuildRow) -> RepositoryKey {
    RepositoryKey {
        namespace: build.namespace.clone(),
        iteration: build.iteration,
        architecture: build.architecture.clone(),
    }
}
