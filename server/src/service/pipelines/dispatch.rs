//! Turns ready builds into attempts that shall run as pipelines. Nothing is asked of GitLab here: what
//! is stored now survives whatever happens next.

use buildbtw_model::{
    AttemptId, BuildId, ClaimId, CommitHash, FailureKind, GitRef, ProjectId, TokenScope, WorkerName,
};

use crate::db::attempts::{NewAttempt, UNLIMITED_LEASE};
use crate::db::builds::BuildRow;
use crate::db::pipelines::NewPipeline;
use crate::db::{Database, TokenId, builds, iterations, pipelines, source_repositories, tokens};
use crate::error::Error;
use crate::service::transitions::Transition;
use crate::state::AppState;
use crate::time::Millis;

const PLACEHOLDER_WORKER: &str = "gitlab";

/// Where a build's pipeline runs.
struct Place {
    project_id: ProjectId,
    git_ref: String,
}

/// Dispatches ready builds to GitLab, in one transaction. Returns how many there were.
///
/// # Errors
/// When the database cannot be used; nothing was dispatched then.
pub async fn dispatch(state: &AppState, chosen: &[BuildId]) -> Result<usize, Error> {
    let rows = builds::by_ids(state.database.read(), chosen).await?;
    let mut places = Vec::with_capacity(rows.len());
    for build in &rows {
        places.push((
            build,
            AttemptId::new(),
            place(&state.database, build).await?,
        ));
    }
    let gitlab = state.pipelines.as_ref();
    let gitlab = gitlab.map(|on_gitlab| on_gitlab.gitlab.settings().url.to_string());
    let gitlab = gitlab.unwrap_or_default();
    let worker = placeholder_worker()?;
    let mut transition = Transition::begin(&state.database, &state.clock).await?;
    let mut attempts = Vec::with_capacity(rows.len());
    let mut made = Vec::with_capacity(rows.len());
    for (build, id, _) in &places {
        let token = placeholder_token(&mut transition, *id).await?;
        made.push((*id, token));
        attempts.push(NewAttempt {
            id: *id,
            build: build.id,
            claim: ClaimId::new(),
            worker: &worker,
            token,
        });
    }
    let given = transition.dispatched(attempts, UNLIMITED_LEASE).await?;
    // Builds that are not ready any more have no attempt that their token would go with.
    let is_given = |id: &AttemptId| given.iter().any(|(attempt, _)| attempt.id == *id);
    for (_, token) in made.iter().filter(|(id, _)| !is_given(id)) {
        tokens::delete(transition.tx(), *token).await?;
    }
    let mut wanted = Vec::with_capacity(given.len());
    for (attempt, build) in &given {
        let place = places.iter().find(|(_, id, _)| *id == attempt.id);
        match place {
            Some((_, _, Ok(place))) => wanted.push(NewPipeline {
                attempt: attempt.id,
                gitlab: gitlab.clone(),
                project_id: place.project_id,
                git_ref: place.git_ref.clone(),
                commit: build.commit.clone(),
            }),
            Some((_, _, Err(reason))) => {
                let kind = FailureKind::Infrastructure;
                transition
                    .failed_permanently(build, attempt.id, kind, reason)
                    .await?;
            }
            None => {}
        }
    }
    pipelines::insert(transition.tx(), &wanted).await?;
    let effects = transition.commit().await?;
    state.announce(effects);
    Ok(given.len())
}

/// What an attempt's worker is called until a job has said where it runs.
pub(crate) fn placeholder_worker() -> Result<WorkerName, Error> {
    let name = PLACEHOLDER_WORKER.parse();
    Ok(name.map_err(|error| {
        anyhow::anyhow!("'{PLACEHOLDER_WORKER}' is not a valid worker name: {error}")
    })?)
}

/// A token that nobody has yet: the job brings the secret when it exchanges its ID token.
pub(crate) async fn placeholder_token(
    transition: &mut Transition,
    attempt: AttemptId,
) -> sqlx::Result<TokenId> {
    let hash: [u8; 32] = rand::random();
    let name = format!("attempt {attempt}");
    let expired = Some(Millis::now());
    tokens::insert(transition.tx(), &name, TokenScope::Attempt, &hash, expired).await
}

/// The project and the branch or tag that a build's pipeline runs on, or why there is none.
async fn place(database: &Database, build: &BuildRow) -> Result<Result<Place, String>, Error> {
    let reader = database.read();
    let pkgbase = &build.pkgbase;
    let Some(repository) = source_repositories::usable(reader, pkgbase).await? else {
        return Ok(Err(format!(
            "{pkgbase} no longer has a usable project in GitLab"
        )));
    };
    let Some(project_id) = repository.project_id else {
        return Ok(Err(format!(
            "{pkgbase} does not belong to a GitLab project"
        )));
    };
    let origins = iterations::origins(reader, build.iteration_id).await?;
    let origin = origins
        .into_iter()
        .find(|(changeset, commit)| changeset.pkgbase == *pkgbase && *commit == build.commit);
    let git_ref = match (origin, repository.branch) {
        (Some((changeset, _)), _) if !is_branch_or_tag(&changeset.git_ref) => {
            return Ok(Err(format!(
                "GitLab runs pipelines on branches and tags only, and '{}' is neither: push it as a \
                 branch of {} and create a new iteration",
                changeset.git_ref, repository.path
            )));
        }
        (Some((changeset, _)), _) => changeset.git_ref.to_string(),
        (None, Some(branch)) => {
            if let Some(head) = repository.commit.filter(|head| *head != build.commit) {
                return Ok(Err(moved(&branch, &build.commit, &head)));
            }
            branch
        }
        (None, None) => {
            return Ok(Err(format!("{pkgbase} no longer has a default branch")));
        }
    };
    Ok(Ok(Place {
        project_id,
        git_ref,
    }))
}

/// Why a build of a branch that has moved on cannot run as its pipeline.
pub(super) fn moved(git_ref: &str, planned: &CommitHash, head: &CommitHash) -> String {
    format!(
        "{git_ref} moved from {} to {}, and GitLab runs pipelines on the heads of branches only; a new \
         iteration builds the new head",
        planned.short(),
        head.short()
    )
}

/// Commits and the heads of merge requests have no pipelines of their own.
fn is_branch_or_tag(git_ref: &GitRef) -> bool {
    let text = git_ref.as_str();
    let is_commit = text.len() >= 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    !is_commit && !text.starts_with("merge-requests/")
}
