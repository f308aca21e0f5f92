//! Projects.

use std::sync::Arc;

use async_graphql::Value;

use super::{Answer, Args, Asking, Node, Resolved, gid, job, merge_request, pipeline};
use crate::auth::{reads_code, sees};
use crate::graphql::connection::{Position, Row};
use crate::state::projects::Project;

/// Returns the projects that the caller can see and that match the search, if there is one.
pub(super) fn visible<'a>(
    projects: Vec<Arc<Project>>,
    args: &Args<'_>,
    asking: &'a Asking,
) -> impl Iterator<Item = Arc<Project>> + use<'a> {
    let search = args.text("search").map(str::to_lowercase);
    projects.into_iter().filter(move |project| {
        sees(&asking.who, project)
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
    asking: &Asking,
) -> Resolved {
    let url = asking.gitlab.url();
    Ok(match field {
        "id" => Answer::from(gid("Project", project.id)),
        "fullPath" => Answer::from(project.full_path.as_str()),
        "path" | "name" => Answer::from(project.path()),
        "nameWithNamespace" => Answer::from(project.full_path.replace('/', " / ")),
        "description" => Answer::from(project.description.as_deref()),
        "webUrl" => Answer::from(format!("{url}/{}", project.full_path)),
        "httpUrlToRepo" => Answer::from(asking.gitlab.git_url(&project.full_path)),
        "sshUrlToRepo" => Answer::from(format!("ssh://git@127.0.0.1/{}.git", project.full_path)),
        "visibility" => Answer::from(project.visibility()),
        "archived" => Answer::from(project.archived),
        "markedForDeletionOn" => Answer::from(project.marked_for_deletion),
        "createdAt" => Answer::from(project.created_at),
        "updatedAt" => Answer::from(project.updated_at),
        "lastActivityAt" => Answer::from(project.last_activity_at),
        "ciConfigPathOrDefault" => Answer::from(project.ci_config_path_or_default()),
        "jobsEnabled" | "publicJobs" => Answer::from(true),
        "topics" => Answer::Value(Value::List(Vec::new())),
        "importStatus" => Answer::from("none"),
        "group" => {
            let group = asking.gitlab.state().group_at(project.namespace());
            Answer::node(group.map(Node::Group))
        }
        "repository" => {
            let allowed = reads_code(&asking.who, project);
            Answer::node(allowed.then(|| Node::Repository(Arc::clone(project))))
        }
        "pipeline" => return pipeline::one(project, args, asking),
        "pipelines" => return pipeline::list(project, args, asking),
        "job" => return job::one(project, args, asking),
        "mergeRequest" => return Ok(merge_request::one(project, args, asking)),
        "mergeRequests" => return merge_request::list(project, args, asking),
        "ciCdSettings" => Answer::Node(Node::CiCdSettings(Arc::clone(project))),
        _ => Answer::Null,
    })
}

pub(super) fn ci_cd_settings(project: &Project, field: &str) -> Answer {
    match field {
        "pipelineVariablesMinimumOverrideRole" => Answer::from(project.variables_role.name()),
        "jobTokenScopeEnabled" => Answer::from(false),
        _ => Answer::Null,
    }
}
