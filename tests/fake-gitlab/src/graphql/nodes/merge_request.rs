//! Merge requests.

use std::sync::Arc;

use jiff::Timestamp;

use super::{Args, Node, NodeValue, RequestContext, Resolved, gid};
use crate::auth::reads_code;
use crate::graphql::connection::{Position, Row};
use crate::state::merge_requests::MergeRequest;
use crate::state::pipelines::Pipeline;
use crate::state::projects::Project;

/// Returns a merge request. Those who cannot see the code cannot see merge requests either.
pub(super) fn one(project: &Project, args: &Args<'_>, context: &RequestContext) -> NodeValue {
    let iid = args.text("iid").and_then(|iid| iid.parse().ok());
    let state = context.gitlab.state();
    let row = iid.and_then(|iid: u64| state.merge_requests.get(&(project.id.0, iid)));
    let row = row.filter(|_| reads_code(&context.who, project));
    NodeValue::node(row.cloned().map(Node::MergeRequest))
}

pub(super) fn list(project: &Project, args: &Args<'_>, context: &RequestContext) -> Resolved {
    let iids = args.texts("iids");
    let sources = args.texts("sourceBranches");
    let targets = args.texts("targetBranches");
    let state = args.text("state").filter(|state| *state != "all");
    let search = args.text("search").map(str::to_lowercase);
    let time = |name| {
        args.text(name)
            .and_then(|text| text.parse::<Timestamp>().ok())
    };
    let (updated_after, updated_before) = (time("updatedAfter"), time("updatedBefore"));
    let (created_after, created_before) = (time("createdAfter"), time("createdBefore"));
    let draft = args.flag("draft");
    let is_in = |list: &Option<Vec<String>>, text: &str| {
        list.as_ref()
            .is_none_or(|list| list.iter().any(|one| one == text))
    };
    let is_between = |at: Timestamp, after: Option<Timestamp>, before: Option<Timestamp>| {
        after.is_none_or(|after| at >= after) && before.is_none_or(|before| at <= before)
    };
    let all: Vec<Arc<MergeRequest>> = match reads_code(&context.who, project) {
        true => context
            .gitlab
            .state()
            .merge_requests_of(project.id.0)
            .cloned()
            .collect(),
        false => Vec::new(),
    };
    let rows = all
        .into_iter()
        .filter(|row| {
            is_in(&iids, &row.iid.to_string())
                && is_in(&sources, &row.source_branch)
                && is_in(&targets, &row.target_branch)
                && state.is_none_or(|state| row.state.name() == state)
                && draft.is_none_or(|draft| row.is_draft() == draft)
                && search
                    .as_ref()
                    .is_none_or(|text| row.title.to_lowercase().contains(text))
                && is_between(row.updated_at, updated_after, updated_before)
                && is_between(row.created_at, created_after, created_before)
        })
        .map(|row| Row {
            position: Position::newest(row.id),
            node: Node::MergeRequest(row),
        });
    NodeValue::connection(rows.collect(), args)
}

pub(super) fn resolve(row: &MergeRequest, field: &str, context: &RequestContext) -> Resolved {
    let project = |id: u64| context.gitlab.state().projects.get(&id).cloned();
    Ok(match field {
        "id" => NodeValue::from(gid("MergeRequest", row.id)),
        "iid" => NodeValue::from(row.iid.to_string()),
        "title" => NodeValue::from(row.title.as_str()),
        "description" => NodeValue::from(row.description.as_deref()),
        "state" => NodeValue::from(row.state.name()),
        "draft" => NodeValue::from(row.is_draft()),
        "sourceBranch" => NodeValue::from(row.source_branch.as_str()),
        "targetBranch" => NodeValue::from(row.target_branch.as_str()),
        "sourceProject" => NodeValue::node(project(row.source_project).map(Node::Project)),
        "targetProject" | "project" => NodeValue::node(project(row.project).map(Node::Project)),
        "diffHeadSha" => NodeValue::from(row.head.to_string()),
        "mergeCommitSha" => NodeValue::from(row.merge_commit.map(|id| id.to_string())),
        "mergedAt" => NodeValue::from(row.merged_at),
        "createdAt" => NodeValue::from(row.created_at),
        "updatedAt" => NodeValue::from(row.updated_at),
        "webUrl" => NodeValue::from(project(row.project).map(|project| {
            let url = context.gitlab.url();
            format!("{url}/{}/-/merge_requests/{}", project.full_path, row.iid)
        })),
        "conflicts" => NodeValue::from(false),
        "hasCi" => NodeValue::from(head_pipeline(row, context).is_some()),
        "headPipeline" => NodeValue::node(head_pipeline(row, context).map(Node::Pipeline)),
        _ => NodeValue::Null,
    })
}

/// Returns the newest pipeline of the head: its own, or one of its source branch.
fn head_pipeline(row: &MergeRequest, context: &RequestContext) -> Option<Arc<Pipeline>> {
    let state = context.gitlab.state();
    let own = state.pipelines_of(row.project).filter(|pipeline| {
        pipeline.merge_request.is_some_and(|of| of.iid == row.iid) && pipeline.sha() == row.head
    });
    let of_source = state
        .pipelines_of(row.source_project)
        .filter(|pipeline| pipeline.sha() == row.head && pipeline.git_ref == row.source_branch);
    own.chain(of_source)
        .max_by_key(|pipeline| pipeline.id)
        .cloned()
}
