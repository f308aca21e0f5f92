//! The claims of a job's token.

use anyhow::{Context as _, Result};
use serde_json::{Map, Value, json};

use crate::FakeGitlab;
use crate::actions::hooks::new_uuid;
use crate::ci::payload::timeout_of;
use crate::ci::variables::email;
use crate::state::State;
use crate::state::jobs::Job;
use crate::state::projects::Project;

/// The lifetime of the token of a job without a timeout, in seconds.
const DEFAULT_LIFE: i64 = 300;

fn namespace_id(state: &State, project: &Project) -> String {
    let group = state.group_at(project.namespace());
    group.map_or_else(String::new, |group| group.id.to_string())
}

/// Returns the claims of a job's token for an audience.
pub(crate) fn of_job(
    gitlab: &FakeGitlab,
    state: &State,
    job: &Job,
    audience: &Value,
) -> Result<Map<String, Value>> {
    let pipeline = state.pipelines.get(&job.pipeline.0);
    let pipeline = pipeline.context("the pipeline was deleted")?;
    let runs_in = state.project(job.project)?;
    // For a merge request of a fork, the project is the fork.
    let project = match pipeline.merge_request {
        Some(merge_request) => state.project(merge_request.source_project)?,
        None => runs_in.clone(),
    };
    let user = state.users.get(&job.user).context("the user was deleted")?;
    let runner = job.assigned.as_ref().map(|assigned| assigned.runner);
    let now = gitlab.clock().now().as_second();
    let life = match timeout_of(state, job, runner) {
        timeout if timeout > 0 => timeout,
        _ => DEFAULT_LIFE,
    };
    let sha = pipeline.sha().to_string();
    let ref_type = pipeline.ref_type();
    let ref_path = pipeline.ref_path();
    // Only set if the configuration is in the project itself.
    let config_ref = pipeline.own_config.as_ref().map(|path| {
        let server = gitlab.url().trim_start_matches("http://");
        format!("{server}/{}//{path}@{ref_path}", runs_in.full_path)
    });
    let subject = format!(
        "project_path:{}:ref_type:{ref_type}:ref:{}",
        project.full_path, pipeline.git_ref
    );
    let claims = json!({
        "iss": gitlab.url(),
        "sub": subject,
        "aud": audience,
        "iat": now,
        "nbf": now - 5,
        "exp": now + life,
        "jti": new_uuid().to_string(),
        "namespace_id": namespace_id(state, &project),
        "namespace_path": project.namespace(),
        "project_id": project.id.to_string(),
        "project_path": project.full_path,
        "user_id": user.id.to_string(),
        "user_login": user.username,
        "user_email": email(user),
        "user_access_level": runs_in.role.name(),
        "job_project_id": runs_in.id.to_string(),
        "job_project_path": runs_in.full_path,
        "job_namespace_id": namespace_id(state, &runs_in),
        "job_namespace_path": runs_in.namespace(),
        "pipeline_id": pipeline.id.to_string(),
        "pipeline_source": pipeline.source.name(),
        "job_id": job.id.to_string(),
        "ref": pipeline.git_ref,
        "ref_type": ref_type,
        "ref_path": ref_path,
        "ref_protected": pipeline.is_protected.to_string(),
        "runner_id": runner.map(|runner| runner.0),
        "runner_environment": "self-hosted",
        "sha": sha,
        "project_visibility": project.visibility(),
        "ci_config_ref_uri": config_ref,
        "ci_config_sha": pipeline.own_config.as_ref().map(|_| sha.clone()),
    });
    match claims {
        Value::Object(claims) => Ok(claims),
        _ => anyhow::bail!("claims are an object"),
    }
}

/// Returns the claims of a login token.
pub(crate) fn of_login(
    gitlab: &FakeGitlab,
    state: &State,
    user: u64,
    client: &str,
) -> Result<Map<String, Value>> {
    let user = state.users.get(&user).context("the user does not exist")?;
    let now = gitlab.clock().now().as_second();
    let claims = json!({
        "iss": gitlab.url(),
        "sub": user.id.to_string(),
        "aud": client,
        "iat": now,
        "exp": now + 120,
        "auth_time": now,
        "sub_legacy": format!("{:x}", user.id),
        "email": email(user),
        "email_verified": true,
        "groups_direct": [],
    });
    match claims {
        Value::Object(claims) => Ok(claims),
        _ => anyhow::bail!("claims are an object"),
    }
}
