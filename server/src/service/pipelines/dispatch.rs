//! Turns ready builds into attempts that will run as pipelines. GitLab is not contacted here: the stored rows survive
//! a crash or an outage.

use buildbtw_model::{
    AttemptId, BuildId, ClaimId, CommitHash, Explanation, FailureKind, GitRef, Pkgbase, ProjectId,
    TokenScope, WorkerName,
};

use crate::db::attempts::{NewAttempt, UNLIMITED_LEASE};
use crate::db::builds::BuildRow;
use crate::db::pipelines::NewPipeline;
use crate::db::{
    Database, TokenId, WriteTransaction, builds, iterations, source_repositories, tokens,
};
use crate::error::Error;
use crate::service::transitions::{DispatchedBuild, Transition};
use crate::state::announcer::Announcer;
use crate::state::pipelines::Pipelines;

const PLACEHOLDER_WORKER: &str = "gitlab";

/// The project and ref that a build's pipeline runs on.
struct PipelineTarget {
    project_id: ProjectId,
    git_ref: String,
}

/// Dispatches ready builds to GitLab, in one transaction. Returns the number of dispatched builds.
///
/// # Errors
/// When the database cannot be used; nothing was dispatched then.
pub async fn dispatch(
    database: &Database,
    announcer: &Announcer,
    on_gitlab: &Pipelines,
    chosen: &[BuildId],
) -> Result<usize, Error> {
    let rows = builds::by_ids(database.read(), chosen).await?;
    let mut targets = Vec::with_capacity(rows.len());
    for build in &rows {
        targets.push((build, AttemptId::new(), target(database, build).await?));
    }
    let gitlab = on_gitlab.gitlab.settings().url.to_string();
    let worker = placeholder_worker()?;
    let mut tx = database.write().await?;
    let mut attempts = Vec::with_capacity(rows.len());
    let mut issued = Vec::with_capacity(rows.len());
    for (build, id, _) in &targets {
        let token = placeholder_token(&mut tx, *id).await?;
        issued.push((*id, token));
        attempts.push(NewAttempt {
            id: *id,
            build: build.id,
            claim: ClaimId::new(),
            worker: &worker,
            token,
        });
    }
    let mut transition = Transition::of(tx);
    let dispatched = transition.dispatch(attempts, UNLIMITED_LEASE).await?;
    // Builds that are no longer ready got no attempt, so their tokens are not needed.
    let is_dispatched = |id: &AttemptId| dispatched.iter().any(|build| build.attempt.id == *id);
    for (_, token) in issued.iter().filter(|(id, _)| !is_dispatched(id)) {
        transition.withdraw_token(*token).await?;
    }
    let mut wanted = Vec::with_capacity(dispatched.len());
    for DispatchedBuild { attempt, build, .. } in &dispatched {
        let target = targets.iter().find(|(_, id, _)| *id == attempt.id);
        match target {
            Some((_, _, Ok(target))) => wanted.push(NewPipeline {
                attempt: attempt.id,
                gitlab: gitlab.clone(),
                project_id: target.project_id,
                git_ref: target.git_ref.clone(),
                commit: build.commit.clone(),
            }),
            Some((_, _, Err(reason))) => {
                let kind = FailureKind::Infrastructure;
                transition
                    .fail_permanently(build, attempt.id, kind, reason)
                    .await?;
            }
            None => {}
        }
    }
    transition.want_pipelines(&wanted).await?;
    let effects = transition.commit().await?;
    announcer.announce(effects);
    Ok(dispatched.len())
}

/// Returns the worker name of attempts until their job reports where it runs.
pub(crate) fn placeholder_worker() -> Result<WorkerName, Error> {
    let name = PLACEHOLDER_WORKER.parse();
    Ok(name.map_err(|error| {
        anyhow::anyhow!("`{PLACEHOLDER_WORKER}` is not a valid worker name: {error}")
    })?)
}

/// Stores a token without a known secret: the job sends the secret when it exchanges its ID token.
pub(crate) async fn placeholder_token(
    tx: &mut WriteTransaction,
    attempt: AttemptId,
) -> sqlx::Result<TokenId> {
    let hash: [u8; 32] = rand::random();
    let name = format!("attempt {attempt}");
    let expired = Some(tx.now());
    tokens::insert(tx, &name, TokenScope::Attempt, &hash, expired).await
}

/// Returns the project and the branch or tag that a build's pipeline runs on, or why there is none.
async fn target(
    database: &Database,
    build: &BuildRow,
) -> Result<Result<PipelineTarget, Explanation>, Error> {
    let reader = database.read();
    let pkgbase = &build.pkgbase;
    let Some(repository) = source_repositories::usable(reader, pkgbase).await? else {
        return Ok(Err(no_project(pkgbase)));
    };
    let Some(project_id) = repository.project_id else {
        return Ok(Err(not_on_gitlab(pkgbase)));
    };
    let origins = iterations::origins(reader, build.iteration_id).await?;
    let origin = origins
        .into_iter()
        .find(|(changeset, commit)| changeset.pkgbase == *pkgbase && *commit == build.commit);
    let git_ref = match (origin, repository.branch) {
        (Some((changeset, _)), _) if !is_branch_or_tag(&changeset.git_ref) => {
            return Ok(Err(no_branch_or_tag(&changeset.git_ref, &repository.path)));
        }
        (Some((changeset, _)), _) => changeset.git_ref.to_string(),
        (None, Some(branch)) => {
            if let Some(head) = repository.commit.filter(|head| *head != build.commit) {
                return Ok(Err(moved(&branch, &build.commit, &head)));
            }
            branch
        }
        (None, None) => {
            return Ok(Err(no_default_branch(pkgbase)));
        }
    };
    Ok(Ok(PipelineTarget {
        project_id,
        git_ref,
    }))
}

/// Explains that a build cannot run as a pipeline of a branch that has moved.
pub(super) fn moved(git_ref: &str, planned: &CommitHash, head: &CommitHash) -> Explanation {
    Explanation::with_hint(
        format!(
            "{git_ref} moved from {} to {}, and GitLab runs pipelines on the heads of branches only",
            planned.short(),
            head.short()
        ),
        "create a new iteration, which builds the new head",
    )
}

fn no_project(pkgbase: &Pkgbase) -> Explanation {
    Explanation::with_hint(
        format!("{pkgbase} no longer has a usable project in GitLab"),
        "repair its project, which the page of the sources lists, and create a new iteration",
    )
}

fn not_on_gitlab(pkgbase: &Pkgbase) -> Explanation {
    Explanation::with_hint(
        format!("{pkgbase} does not belong to a GitLab project"),
        "move its repository to the GitLab group, and create a new iteration",
    )
}

fn no_branch_or_tag(git_ref: &GitRef, path: &str) -> Explanation {
    Explanation::with_hint(
        format!("GitLab runs pipelines on branches and tags only, and `{git_ref}` is neither"),
        format!("push it as a branch of {path}, and create a new iteration"),
    )
}

fn no_default_branch(pkgbase: &Pkgbase) -> Explanation {
    Explanation::with_hint(
        format!("{pkgbase} no longer has a default branch"),
        "set one in the settings of its project, and create a new iteration",
    )
}

/// Returns whether a ref is a branch or a tag. GitLab creates no pipelines on commits or heads of merge requests.
fn is_branch_or_tag(git_ref: &GitRef) -> bool {
    let text = git_ref.as_str();
    let is_commit = text.len() >= 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    !is_commit && !text.starts_with("merge-requests/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn explanations_match_snapshot() {
        let pkgbase: Pkgbase = "libgreet".parse().unwrap();
        let commit = |digit: &str| -> CommitHash { digit.repeat(40).parse().unwrap() };
        let git_ref: GitRef = "merge-requests/1/head".parse().unwrap();
        let explanations = [
            moved("main", &commit("0"), &commit("1")),
            no_project(&pkgbase),
            not_on_gitlab(&pkgbase),
            no_branch_or_tag(&git_ref, "packages/libgreet"),
            no_default_branch(&pkgbase),
        ];
        insta::assert_snapshot!(explanations.map(|text| text.to_string()).join("\n\n"));
    }
}
