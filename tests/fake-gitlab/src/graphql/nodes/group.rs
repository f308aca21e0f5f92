//! Groups.

use std::collections::HashSet;
use std::sync::Arc;

use super::project::{rows, visible};
use super::root::by_activity;
use super::{Args, Node, NodeValue, RequestContext, Resolved, gid, number_of_gid};
use crate::graphql::connection::Position;
use crate::state::projects::{Group, Project};

pub(super) fn resolve(
    group: &Arc<Group>,
    field: &str,
    args: &Args<'_>,
    context: &RequestContext,
) -> Resolved {
    Ok(match field {
        "id" => NodeValue::from(gid("Group", group.id)),
        "fullPath" => NodeValue::from(group.full_path.as_str()),
        "path" | "name" => NodeValue::from(group.path()),
        "webUrl" => NodeValue::from(format!(
            "{}/groups/{}",
            context.gitlab.url(),
            group.full_path
        )),
        "archived" => NodeValue::from(false),
        "parent" => {
            let above = group.full_path.rsplit_once('/').map(|(above, _)| above);
            let parent = above.and_then(|above| context.gitlab.state().group_at(above));
            NodeValue::node(parent.map(Node::Group))
        }
        // Only the group's own projects, without archived ones.
        "projectsCount" => {
            let state = context.gitlab.state();
            let own = state.projects_of(group, false);
            NodeValue::from(own.filter(|project| !project.archived).count())
        }
        "projects" => return projects(group, args, context),
        _ => NodeValue::Null,
    })
}

fn projects(group: &Group, args: &Args<'_>, context: &RequestContext) -> Resolved {
    let ids = args
        .texts("ids")
        .map(|ids| ids.iter().map(|id| number_of_gid("Project", id)).collect())
        .transpose()?;
    let ids: Option<HashSet<u64>> = ids;
    let all: Vec<Arc<Project>> = context
        .gitlab
        .state()
        .projects_of(group, args.is("includeSubgroups"))
        .cloned()
        .collect();
    let archived_only = args.is("archivedOnly");
    let archived = archived_only || args.is("includeArchived");
    let not_aimed_for_deletion = args.is("notAimedForDeletion");
    let found = visible(all, args, context).filter(|project| {
        (archived || !project.archived)
            && (!archived_only || project.archived)
            && !(not_aimed_for_deletion && project.marked_for_deletion.is_some())
            && ids.as_ref().is_none_or(|ids| ids.contains(&project.id.0))
    });
    let rows = match args.text("sort") {
        Some("ACTIVITY_DESC") => rows(found, by_activity),
        // Projects have no size or similarity here.
        _ => rows(found, |project| Position::newest(project.id.0)),
    };
    NodeValue::connection(rows, args)
}
