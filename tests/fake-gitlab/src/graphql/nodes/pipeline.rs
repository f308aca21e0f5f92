//! Pipelines and their stages.

use std::sync::Arc;

use async_graphql::Value;
use jiff::Timestamp;

use super::{Args, Node, NodeValue, RequestContext, Resolved, gid, number_of_gid};
use crate::graphql::connection::{Position, Row};
use crate::state::State;
use crate::state::pipelines::Pipeline;
use crate::state::projects::Project;
use crate::state::status::{Part, Status, composite};

/// The model name in ids of pipelines.
pub(super) const MODEL: &str = "Ci::Pipeline";

/// Returns the requested pipeline, or the newest one of the default branch's head.
pub(super) fn one(project: &Project, args: &Args<'_>, context: &RequestContext) -> Resolved {
    let id = args
        .text("id")
        .map(|id| number_of_gid(MODEL, id))
        .transpose()?;
    let iid: Option<u64> = args.text("iid").and_then(|iid| iid.parse().ok());
    let sha = args.text("sha");
    let is_named = id.is_some() || args.text("iid").is_some() || sha.is_some();
    let head = match is_named {
        true => None,
        false => {
            let head = project.storage.resolve(&project.default_branch, None);
            head.map_err(|error| super::internal(&error))?
        }
    };
    let state = context.gitlab.state();
    let mut newest = state.pipelines_of(project.id.0).rev();
    let found = newest.find(|row| match (id, sha) {
        (Some(id), _) => row.id.0 == id,
        (None, Some(sha)) => *sha == *row.sha().to_string(),
        (None, None) if is_named => Some(row.iid) == iid,
        (None, None) => Some(row.sha()) == head && row.git_ref == project.default_branch,
    });
    Ok(NodeValue::node(found.cloned().map(Node::Pipeline)))
}

pub(super) fn list(project: &Project, args: &Args<'_>, context: &RequestContext) -> Resolved {
    let time = |name| {
        let text = args.text(name)?;
        text.parse::<Timestamp>().ok()
    };
    let (after, before) = (time("updatedAfter"), time("updatedBefore"));
    let is = |name, own: &str| args.text(name).is_none_or(|wanted| wanted == own);
    let state = context.gitlab.state();
    let name_of = |user: u64| {
        let user = state.users.get(&user);
        user.map_or("", |user| user.username.as_str())
    };
    let in_scope = |row: &Pipeline| match args.text("scope") {
        Some("RUNNING") => row.status == Status::Running,
        Some("PENDING") => row.status == Status::Pending,
        Some("FINISHED") => row.status.is_complete(),
        Some("BRANCHES") => !row.is_tag,
        Some("TAGS") => row.is_tag,
        _ => true,
    };
    let found = state.pipelines_of(project.id.0).filter(|row| {
        in_scope(row)
            && is("status", &row.status.upper())
            && is("ref", &row.git_ref)
            && is("sha", &row.sha().to_string())
            && is("source", row.source.name())
            && is("username", name_of(row.user))
            && after.is_none_or(|after| row.updated_at > after)
            && before.is_none_or(|before| row.updated_at < before)
    });
    let rows = found.map(|row| Row {
        position: Position::newest(row.id.0),
        node: Node::Pipeline(Arc::clone(row)),
    });
    NodeValue::connection(rows.collect(), args)
}

pub(super) fn number(number: Option<i64>) -> NodeValue {
    number.map_or(NodeValue::Null, |number| {
        NodeValue::Value(Value::from(number))
    })
}

pub(super) fn resolve(
    row: &Arc<Pipeline>,
    field: &str,
    args: &Args<'_>,
    context: &RequestContext,
) -> Resolved {
    let state = context.gitlab.state();
    let current = || state.jobs_of(row).filter(|job| !job.retried);
    Ok(match field {
        "id" => NodeValue::from(gid(MODEL, row.id)),
        "iid" => NodeValue::from(row.iid.to_string()),
        "name" => NodeValue::from(row.name.as_deref()),
        "sha" => NodeValue::from(row.sha().to_string()),
        "beforeSha" => NodeValue::from("0".repeat(40)),
        "ref" => NodeValue::from(row.git_ref.as_str()),
        "refPath" => NodeValue::from(row.ref_path()),
        "source" => NodeValue::from(row.source.name()),
        "status" => NodeValue::from(row.status.upper()),
        "complete" => NodeValue::from(row.status.is_complete()),
        "active" => NodeValue::from(row.status.is_active()),
        "child" | "yamlErrors" => NodeValue::from(false),
        "latest" => {
            let mut newest = state.pipelines_of(row.project.0).rev();
            let newest = newest.find(|other| other.git_ref == row.git_ref);
            NodeValue::from(newest.is_some_and(|other| other.id == row.id))
        }
        "stuck" => NodeValue::from(current().any(|job| super::job::is_stuck(&state, job))),
        "warnings" => NodeValue::from(current().any(|job| job.part() == Part::Forgiven)),
        "duration" => number(row.duration()),
        "queuedDuration" => number(row.queued_duration()),
        "createdAt" => NodeValue::from(row.created_at),
        "updatedAt" => NodeValue::from(row.updated_at),
        "startedAt" => NodeValue::from(row.started_at),
        "finishedAt" => NodeValue::from(row.finished_at),
        "path" => NodeValue::from(
            state
                .projects
                .get(&row.project.0)
                .map(|project| format!("/{}/-/pipelines/{}", project.full_path, row.id)),
        ),
        "retryable" => NodeValue::from(current().any(|job| {
            job.is_retryable() && matches!(job.status, Status::Failed | Status::Canceled)
        })),
        "cancelable" => NodeValue::from(current().any(|job| job.status.is_cancelable())),
        "totalJobs" => NodeValue::from(current().count()),
        "mergeRequest" => {
            let found = row
                .merge_request
                .and_then(|of| state.merge_requests.get(&(row.project.0, of.iid)));
            NodeValue::node(found.cloned().map(Node::MergeRequest))
        }
        "project" => NodeValue::node(
            state
                .projects
                .get(&row.project.0)
                .cloned()
                .map(Node::Project),
        ),
        "jobs" => {
            drop(state);
            return super::job::list(row, args, context);
        }
        "stages" => return stages(row, &state, args),
        // A created pipeline has no configuration errors.
        _ => NodeValue::Null,
    })
}

/// A stage of a pipeline.
#[derive(Debug)]
pub(crate) struct Stage {
    id: u64,
    name: String,
    status: Option<Status>,
}

/// Stages have no ids of their own here. They are numbered, assuming that no pipeline has this many.
const MAX_STAGES: u64 = 100;

impl Stage {
    pub(super) fn of(row: &Pipeline, state: &State, name: &str) -> Self {
        let index = row.stages.iter().position(|stage| stage == name);
        let jobs = state.jobs_of(row);
        let own = jobs.filter(|job| !job.retried && job.stage == name);
        let parts: Vec<Part> = own.map(|job| job.part()).collect();
        Self {
            id: row.id.0 * MAX_STAGES + index.unwrap_or_default() as u64,
            name: name.to_owned(),
            status: composite(&parts),
        }
    }

    pub(super) fn resolve(&self, field: &str) -> NodeValue {
        match field {
            "id" => NodeValue::from(gid("Ci::Stage", self.id)),
            "name" => NodeValue::from(self.name.as_str()),
            "status" => NodeValue::from(self.status.map(Status::name)),
            _ => NodeValue::Null,
        }
    }
}

fn stages(row: &Pipeline, state: &State, args: &Args<'_>) -> Resolved {
    let stages = row.stages.iter().map(|name| Stage::of(row, state, name));
    // Stages without jobs are not listed.
    let used = stages.filter(|stage| stage.status.is_some());
    let rows = used.enumerate().map(|(index, stage)| Row {
        position: Position::number(index),
        node: Node::Stage(Arc::new(stage)),
    });
    NodeValue::connection(rows.collect(), args)
}
