//! Jobs.

use std::sync::Arc;

use super::pipeline::{Stage, number};
use super::{Answer, Args, Asking, Node, Resolved, gid, number_of_gid};
use crate::graphql::connection::{Position, Row};
use crate::state::State;
use crate::state::jobs::Job;
use crate::state::pipelines::Pipeline;
use crate::state::projects::Project;
use crate::state::status::Status;

/// The model name in ids of jobs.
pub(super) const MODEL: &str = "Ci::Build";

pub(super) fn one(project: &Project, args: &Args<'_>, asking: &Asking) -> Resolved {
    let id = number_of_gid(MODEL, args.text("id").unwrap_or_default())?;
    let row = asking.gitlab.state().jobs.get(&id).cloned();
    let row = row.filter(|row| row.project == project.id);
    Ok(Answer::node(row.map(Node::Job)))
}

pub(super) fn list(pipeline: &Pipeline, args: &Args<'_>, asking: &Asking) -> Resolved {
    let statuses = args.enums("statuses");
    let retried = args.flag("retried");
    let state = asking.gitlab.state();
    let found = state.jobs_of(pipeline).filter(|row| {
        retried.is_none_or(|retried| retried == row.retried)
            && statuses
                .as_ref()
                .is_none_or(|all| all.contains(&row.status.upper()))
    });
    let rows = found.map(|row| Row {
        position: Position::newest(row.id.0),
        node: Node::Job(Arc::clone(row)),
    });
    Answer::connection(rows.collect(), args)
}

/// Returns whether no runner exists for a pending job.
pub(super) fn is_stuck(state: &State, job: &Job) -> bool {
    let pipeline = state.pipelines.get(&job.pipeline.0);
    let is_protected = pipeline.is_some_and(|pipeline| pipeline.is_protected);
    job.status == Status::Pending
        && job.config().is_some()
        && !state
            .runners
            .values()
            .any(|runner| runner.takes(job.project, is_protected, job.tags()))
}

pub(super) fn resolve(row: &Job, field: &str, asking: &Asking) -> Answer {
    let state = asking.gitlab.state();
    let pipeline = state.pipelines.get(&row.pipeline.0);
    match field {
        "id" => Answer::from(gid(MODEL, row.id)),
        "name" => Answer::from(row.name.as_str()),
        "status" => Answer::from(row.status.upper()),
        "stage" => Answer::node(
            pipeline.map(|pipeline| Node::Stage(Arc::new(Stage::of(pipeline, &state, &row.stage)))),
        ),
        "pipeline" => Answer::node(pipeline.cloned().map(Node::Pipeline)),
        "allowFailure" => Answer::from(row.allow_failure),
        "active" => Answer::from(row.status.is_active()),
        "cancelable" => Answer::from(row.status.is_cancelable()),
        "playable" => Answer::from(row.status == Status::Manual),
        "retryable" => Answer::from(row.is_retryable()),
        "retried" => Answer::from(row.retried),
        "stuck" => Answer::from(is_stuck(&state, row)),
        "scheduled" => Answer::from(row.status == Status::Scheduled),
        "exitCode" => number(row.exit_code),
        "failureMessage" => Answer::from(row.failure_reason.as_deref()),
        "duration" => number(row.duration()),
        "queuedDuration" => number(row.queued_duration()),
        "createdAt" => Answer::from(row.created_at),
        "queuedAt" => Answer::from(row.queued_at),
        "startedAt" => Answer::from(row.started_at),
        "finishedAt" => Answer::from(row.finished_at),
        "refName" => Answer::from(pipeline.map(|pipeline| pipeline.git_ref.as_str())),
        "shortSha" => {
            let sha = pipeline.map(|pipeline| pipeline.commit.short_id());
            Answer::from(sha.unwrap_or_default())
        }
        "tags" => {
            let tags = row.tags().iter().map(|tag| tag.as_str().into());
            Answer::Value(async_graphql::Value::List(tags.collect()))
        }
        "webPath" => Answer::from(
            state
                .projects
                .get(&row.project.0)
                .map(|project| format!("/{}/-/jobs/{}", project.full_path, row.id)),
        ),
        _ => Answer::Null,
    }
}
