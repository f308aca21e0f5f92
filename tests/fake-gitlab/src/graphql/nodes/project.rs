//! Projects.

use std::sync::Arc;

use async_graphql::Value;

use super::{Args, Node, NodeValue, RequestContext, Resolved, gid, job, merge_request, pipeline};
use crate::auth::{reads_code, sees};
use crate::graphql::connection::{Position, Row};
use crate::state::projects::Project;

/// Returns the projects that the caller can see and that match the search, if there is one.
pub(super) fn visible<'a>(
    projects: Vec<Arc<Project>>,
    args: &Args<'_>,
    context: &'a RequestContext,
) -> impl Iterator<Item = Arc<Project>> + use<'a> {
    let search = args.text("search").map(str::to_lowercase);
    projects.into_iter().filter(move |project| {
        sees(&context.who, project)
            && search
                .as_ref()
                .is_none_or(|text| project.path().to_lowercase().contains(text))
    })
}

pub(super) fn rows(
    projects: impl Iterator<Item = Arc<Project>>,
    position: impl Fn(&Project) -> Position,
) -> Vec<Row> {
    projects
        .map(|project| Row {
            position: position(&project),
            node: Node::Project(project),
        })
        .collect()
}

pub(super) fn resolve(
    project: &Arc<Project>,
    field: &str,
    args: &Args<'_>,
    context: &RequestContext,
) -> Resolved {
    let url = context.gitlab.url();
    Ok(match field {
        "id" => NodeValue::from(gid("Project", project.id)),
        "fullPath" => NodeValue::from(project.full_path.as_str()),
        "path" | "name" => NodeValue::from(project.path()),
        "nameWithNamespace" => NodeValue::from(project.full_path.replace('/', " / ")),
        "description" => NodeValue::from(project.description.as_deref()),
        "webUrl" => NodeValue::from(format!("{url}/{}", project.full_path)),
        "httpUrlToRepo" => NodeValue::from(context.gitlab.git_url(&project.full_path)),
        "sshUrlToRepo" => NodeValue::from(format!("ssh://git@127.0.0.1/{}.git", project.full_path)),
        "visibility" => NodeValue::from(project.visibility()),
        "archived" => NodeValue::from(project.archived),
        "markedForDeletionOn" => NodeValue::from(project.marked_for_deletion),
        "createdAt" => NodeValue::from(project.created_at),
        "updatedAt" => NodeValue::from(project.updated_at),
        "lastActivityAt" => NodeValue::from(project.last_activity_at),
        "ciConfigPathOrDefault" => NodeValue::from(project.ci_config_path_or_default()),
        "jobsEnabled" | "publicJobs" => NodeValue::from(true),
        "topics" => NodeValue::Value(Value::List(Vec::new())),
        "importStatus" => NodeValue::from("none"),
        "group" => {
            let group = context.gitlab.state().group_at(project.namespace());
            NodeValue::node(group.map(Node::Group))
        }
        "repository" => {
            let allowed = reads_code(&context.who, project);
            NodeValue::node(allowed.then(|| Node::Repository(Arc::clone(project))))
        }
        "pipeline" => return pipeline::one(project, args, context),
        "pipelines" => return pipeline::list(project, args, context),
        "job" => return job::one(project, args, context),
        "mergeRequest" => return Ok(merge_request::one(project, args, context)),
        "mergeRequests" => return merge_request::list(project, args, context),
        "ciCdSettings" => NodeValue::Node(Node::CiCdSettings(Arc::clone(project))),
        _ => NodeValue::Null,
    })
}

pub(super) fn ci_cd_settings(project: &Project, field: &str) -> NodeValue {
    match field {
        "pipelineVariablesMinimumOverrideRole" => NodeValue::from(project.variables_role.name()),
        "jobTokenScopeEnabled" => NodeValue::from(false),
        _ => NodeValue::Null,
    }
}
