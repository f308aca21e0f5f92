//! Assigns ready builds to workers: creates the attempts. `build_inputs` describes each build to its worker.

use std::time::Duration;

use buildbtw_model::api::{ClaimRequest, ClaimedBuild, ProblemKind, WorkerMachine};
use buildbtw_model::{Architecture, AttemptId, BuildId, ClaimId};

use crate::db::attempts::NewAttempt;
use crate::db::{Database, TokenId, attempts, builds, tokens, worker_profiles, workers};
use crate::error::{Error, Refusal};
use crate::state::announcer::Announcer;
use crate::state::claim_queue::{Assignment, Claimant};
use crate::state::parts::ClaimParts;

use super::adopt_attempt::adopt_attempt;
use super::build_inputs::describe;
use super::tokens::not_valid;
use super::transitions::Transition;

/// The maximum time that a claim waits: proxies close connections that are silent for a minute.
const MAX_WAIT: Duration = Duration::from_secs(50);
/// The maximum number of architectures of a claim.
const MAX_ARCHITECTURES: usize = 16;
/// The maximum number of tags of a worker.
const MAX_TAGS: usize = 32;
/// The maximum length of the version of a worker's program, in characters.
const MAX_VERSION: usize = 100;
/// The hint for a claim that cannot be repeated.
const NEW_CLAIM: &str = "claim with a new id";

/// Claims a build for a worker: the one that was assigned to an earlier request with the same claim, or the next
/// ready one, for which it waits as long as the worker asks.
///
/// # Errors
/// When the claim is invalid or its attempt has ended, or the token was revoked or has expired meanwhile.
pub async fn claim_build(
    parts: ClaimParts<'_>,
    claimant: &Claimant,
    request: ClaimRequest,
) -> Result<Option<ClaimedBuild>, Error> {
    if request.architectures.is_empty() || request.architectures.len() > MAX_ARCHITECTURES {
        return Err(invalid_architectures());
    }
    check_architectures(&parts.config.architectures, &request.architectures)?;
    check_machine(request.machine.as_ref())?;
    let permit = parts.reports.acquire().await?;
    let repeated = match note_worker(parts, &request).await? {
        true => repeated_claim(parts, claimant).await?,
        false => None,
    };
    // A claim may wait for a long time.
    drop(permit);
    if repeated.is_some() {
        return Ok(repeated);
    }
    let wait = Duration::from_secs(request.wait_s.into()).min(MAX_WAIT);
    // A claim gets no build once its token has expired.
    let wait = match claimant.expires_at {
        Some(at) => {
            let left = at.since(parts.database.clock().now());
            wait.min(left + Duration::from_millis(1))
        }
        None => wait,
    };
    claim(parts, claimant, request.architectures, wait).await
}

/// Refuses a worker that would wait for ever, because nothing is built for its architectures.
fn check_architectures(built: &[Architecture], offered: &[Architecture]) -> Result<(), Error> {
    if offered.iter().any(|offered| built.contains(offered)) {
        return Ok(());
    }
    let list = |all: &[Architecture]| {
        let names: Vec<_> = all.iter().map(Architecture::as_str).collect();
        names.join(",")
    };
    let (built, offered) = (list(built), list(offered));
    let title = format!("this server builds for {built}, and this worker only for {offered}");
    Err(Refusal::new(ProblemKind::UnknownArchitecture, title)
        .hint(format!(
            "start the worker with `--architectures {built}`, or the server with {offered} among its \
             `--architectures`"
        ))
        .into())
}

/// Refuses a description of a machine that lists of workers and every choice of a build would carry along.
fn check_machine(machine: Option<&WorkerMachine>) -> Result<(), Error> {
    let Some(machine) = machine else {
        return Ok(());
    };
    if machine.tags.len() > MAX_TAGS {
        let title = format!("a worker has at most {MAX_TAGS} tags");
        return Err(Refusal::new(ProblemKind::InvalidRequest, title)
            .hint("start the worker with fewer values of `--tag`")
            .into());
    }
    let version = &machine.version;
    if version.chars().count() > MAX_VERSION || version.chars().any(char::is_control) {
        let title = format!(
            "the version of a worker has at most {MAX_VERSION} characters, without control characters"
        );
        return Err(Error::refused(ProblemKind::InvalidRequest, title));
    }
    Ok(())
}

/// Records that a worker is available, its architectures, and the protocols over which it fetches sources. Returns
/// whether its claim was assigned an attempt before.
async fn note_worker(parts: ClaimParts<'_>, request: &ClaimRequest) -> Result<bool, Error> {
    parts.fetched.note(&request.worker, &request.protocols);
    let (reader, at) = (parts.database.read(), parts.database.clock().now());
    let known = workers::known_claim(reader, request, at).await?;
    let mut architectures = request.architectures.iter();
    if known.has_profile
        && architectures.all(|architecture| known.recently_seen.contains(architecture))
    {
        return Ok(known.is_repeated);
    }
    let mut tx = parts.database.write().await?;
    for architecture in &request.architectures {
        workers::record_seen(&mut tx, &request.worker, architecture, request.jobs).await?;
    }
    if let Some(machine) = &request.machine {
        let load = request.load.as_ref();
        worker_profiles::record(&mut tx, &request.worker, machine, load).await?;
    }
    tx.commit().await?;
    Ok(known.is_repeated)
}

/// Returns the build that was assigned to an earlier request with the same claim.
///
/// # Errors
/// When the attempt has ended, or the claim belongs to another worker.
async fn repeated_claim(
    parts: ClaimParts<'_>,
    claimant: &Claimant,
) -> Result<Option<ClaimedBuild>, Error> {
    let Some(attempt) = attempts::by_claim(parts.database.read(), claimant.claim).await? else {
        return Ok(None);
    };
    if attempt.worker != claimant.worker {
        return Err(of_other_worker());
    }
    if attempt.token != claimant.token {
        // The response was lost, and the token has become invalid since.
        adopt_attempt(parts.database, claimant.token, attempt.id, &claimant.worker).await?;
    }
    if attempt.status.is_final() {
        let title = "the attempt of this claim has ended";
        return Err(Refusal::new(ProblemKind::AttemptEnded, title)
            .hint(NEW_CLAIM)
            .into());
    }
    let build = builds::by_id(parts.database.read(), attempt.build)
        .await?
        .ok_or_else(|| anyhow::anyhow!("attempt {} has no build", attempt.id))?;
    let attempt = attempt.id;
    let assignment = Assignment {
        attempt,
        build,
        queued: Duration::ZERO,
    };
    describe_to(parts, assignment, claimant).await.map(Some)
}

/// Creates the refusal of a claim for too few or too many architectures.
pub(super) fn invalid_architectures() -> Error {
    let title = format!("a claim must name 1 to {MAX_ARCHITECTURES} architectures");
    Error::refused(ProblemKind::InvalidRequest, title)
}

/// Creates the refusal of a claim id that another worker has used.
pub(super) fn of_other_worker() -> Error {
    let title = "this claim id belongs to another worker";
    Refusal::new(ProblemKind::Forbidden, title)
        .hint(NEW_CLAIM)
        .into()
}

/// Describes an assigned build to the worker that claimed it.
async fn describe_to(
    parts: ClaimParts<'_>,
    assignment: Assignment,
    claimant: &Claimant,
) -> Result<ClaimedBuild, Error> {
    let ClaimParts {
        config,
        database,
        base,
        ..
    } = parts;
    describe(config, database, base, assignment, &claimant.server).await
}

/// Waits up to `wait` for a build.
///
/// # Errors
/// When the token was revoked or has expired meanwhile, or the database cannot be read.
async fn claim(
    parts: ClaimParts<'_>,
    claimant: &Claimant,
    architectures: Vec<Architecture>,
    wait: Duration,
) -> Result<Option<ClaimedBuild>, Error> {
    let assigned = parts.claims.enter(claimant.clone(), architectures, wait);
    tokio::select! {
        assigned = assigned => match assigned {
            Ok(assignment) => describe_to(parts, assignment, claimant).await.map(Some),
            // Its wait or its token's validity ended, a repeated request replaced it, or the server is shutting down.
            Err(_) => check_token(parts.database, claimant.token).await.map(|()| None),
        },
        () = parts.shutdown.cancelled() => repeated_claim(parts, claimant).await,
    }
}

/// The result of assigning builds to claims.
#[derive(Debug, Default)]
pub struct Assigned {
    /// The assignment of each claim.
    pub assigned: Vec<(ClaimId, Assignment)>,
    /// Claims that already had an attempt, and got no other.
    pub repeated: Vec<ClaimId>,
    /// Claims whose token is revoked or expired, which got no build.
    pub refused: Vec<ClaimId>,
}

/// Assigns builds to claims, in one transaction. A build that is no longer ready is skipped.
///
/// # Errors
/// When the database cannot be written; nothing was assigned then.
pub async fn assign(
    database: &Database,
    announcer: &Announcer,
    lease: Duration,
    pairs: &[(Claimant, BuildId)],
) -> Result<Assigned, Error> {
    let mut tx = database.write().await?;
    let claims: Vec<ClaimId> = pairs.iter().map(|(claimant, _)| claimant.claim).collect();
    let repeated = attempts::claims_with_attempt(&mut tx, &claims).await?;
    // The token may have been revoked while the claim waited.
    let used: Vec<TokenId> = pairs.iter().map(|(claimant, _)| claimant.token).collect();
    let invalid = tokens::invalid(&mut tx, &used).await?;
    let is_refused = |claimant: &Claimant| invalid.contains(&claimant.token);
    let refused: Vec<ClaimId> = pairs
        .iter()
        .filter(|(claimant, _)| is_refused(claimant))
        .map(|(claimant, _)| claimant.claim)
        .collect();
    let new = pairs.iter().filter(|(claimant, _)| {
        !repeated.contains(&claimant.claim)
            && !refused.contains(&claimant.claim)
            // Drained since its claim was chosen: it waits on.
            && !announcer.claims.is_drained(&claimant.worker)
    });
    let attempts = new.map(|(claimant, build)| NewAttempt {
        id: AttemptId::new(),
        build: *build,
        claim: claimant.claim,
        worker: &claimant.worker,
        token: claimant.token,
    });
    let mut transition = Transition::of(tx);
    let dispatched = transition
        .dispatch(attempts, database.clock().now() + lease)
        .await?;
    let effects = transition.commit().await?;
    announcer.announce(effects);
    let assigned = dispatched.into_iter().map(|dispatched| {
        let assignment = Assignment {
            attempt: dispatched.attempt.id,
            build: dispatched.build,
            queued: dispatched.queued,
        };
        (dispatched.attempt.claim, assignment)
    });
    Ok(Assigned {
        assigned: assigned.collect(),
        repeated,
        refused,
    })
}

/// Checks that the token of a claim that got no build may still claim.
///
/// # Errors
/// When it is revoked or expired, or the database cannot be read.
pub async fn check_token(database: &Database, token: TokenId) -> Result<(), Error> {
    let row = tokens::by_id(database.read(), token).await?;
    if row.is_some_and(|row| row.is_valid(database.clock().now())) {
        return Ok(());
    }
    Err(not_valid())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(tags: usize, version: &str) -> WorkerMachine {
        let tags = (0..tags).map(|number| format!("t{number}").parse().unwrap());
        WorkerMachine {
            version: version.to_owned(),
            tags: tags.collect(),
            cores: 1,
            memory_mib: 1,
            build_memory_mib: 1,
        }
    }

    #[test]
    fn refuses_machines_with_long_descriptions() {
        assert!(check_machine(None).is_ok());
        assert!(check_machine(Some(&machine(MAX_TAGS, "0.1.0"))).is_ok());
        let long = "1".repeat(MAX_VERSION + 1);
        for machine in [
            machine(MAX_TAGS + 1, "0.1.0"),
            machine(0, &long),
            machine(0, "1\u{1b}[2J"),
        ] {
            let problem = check_machine(Some(&machine)).unwrap_err().into_problem();
            assert_eq!(problem.kind, ProblemKind::InvalidRequest, "{problem:?}");
        }
    }
}
