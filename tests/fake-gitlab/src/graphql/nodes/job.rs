//! Jobs.

use std::sync::Arc;

use super::pipeline::{Stage, number};
use super::{Args, Node, NodeValue, RequestContext, Resolved, gid, number_of_gid};
use crate::graphql::connection::{Position, Row};
use crate::state::State;
use crate::state::jobs::Job;
use crate::state::pipelines::Pipeline;
use crate::state::projects::Project;
use crate::state::status::Status;

/// The model name in ids of jobs.
pub(super) const MODEL: &str = "Ci::Build";

pub(super) fn one(project: &Project, args: &Args<'_>, context: &RequestContext) -> Resolved {
    let id = number_of_gid(MODEL, args.text("id").unwrap_or_default())?;
    let row = context.gitlab.state().jobs.get(&id).cloned();
    let row = row.filter(|row| row.project == project.id);
    Ok(NodeValue::node(row.map(Node::Job)))
}

pub(super) fn list(pipeline: &Pipeline, args: &Args<'_>, context: &RequestContext) -> Resolved {
    let statuses = args.enums("statuses");
    let retried = args.flag("retried");
    let state = context.gitlab.state();
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
    NodeValue::connection(rows.collect(), args)
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

pub(super) fn resolve(row: &Job, field: &str, context: &RequestContext) -> NodeValue {
    let state = context.gitlab.state();
    let pipeline = state.pipelines.get(&row.pipeline.0);
    match field {
        "id" => NodeValue::from(gid(MODEL, row.id)),
        "name" => NodeValue::from(row.name.as_str()),
        "status" => NodeValue::from(row.status.upper()),
        "stage" => NodeValue::node(
            pipeline.map(|pipeline| Node::Stage(Arc::new(Stage::of(pipeline, &state, &row.stage)))),
        ),
        "pipeline" => NodeValue::node(pipeline.cloned().map(Node::Pipeline)),
        "allowFailure" => NodeValue::from(row.allow_failure),
        "active" => NodeValue::from(row.status.is_active()),
        "cancelable" => NodeValue::from(row.status.is_cancelable()),
        "playable" => NodeValue::from(row.status == Status::Manual),
        "retryable" => NodeValue::from(row.is_retryable()),
        "retried" => NodeValue::from(row.retried),
        "stuck" => NodeValue::from(is_stuck(&state, row)),
        "scheduled" => NodeValue::from(row.status == Status::Scheduled),
        "exitCode" => number(row.exit_code),
        "failureMessage" => NodeValue::from(row.failure_reason.as_deref()),
        "duration" => number(row.duration()),
        "queuedDuration" => number(row.queued_duration()),
        "createdAt" => NodeValue::from(row.created_at),
        "queuedAt" => NodeValue::from(row.queued_at),
        "startedAt" => NodeValue::from(row.started_at),
        "finishedAt" => NodeValue::from(row.finished_at),
        "refName" => NodeValue::from(pipeline.map(|pipeline| pipeline.git_ref.as_str())),
        "shortSha" => {
            let sha = pipeline.map(|pipeline| pipeline.commit.short_id());
            NodeValue::from(sha.unwrap_or_default())
        }
        "tags" => {
            let tags = row.tags().iter().map(|tag| tag.as_str().into());
            NodeValue::Value(async_graphql::Value::List(tags.collect()))
        }
        "webPath" => NodeValue::from(
            state
                .projects
                .get(&row.project.0)
                .map(|project| format!("/{}/-/jobs/{}", project.full_path, row.id)),
        ),
        _ => NodeValue::Null,
    }
}
