//! The root of queries, and singletons.

use std::collections::HashSet;
use std::sync::Arc;

use super::project::{rows, visible};
use super::{Args, Node, NodeValue, RequestContext, Resolved, gid, number_of_gid};
use crate::VERSION;
use crate::auth::sees;
use crate::graphql::connection::Position;
use crate::state::projects::Project;
use crate::state::tokens::User;

pub(super) fn query(field: &str, args: &Args<'_>, context: &RequestContext) -> Resolved {
    let path = args.text("fullPath").unwrap_or_default();
    Ok(match field {
        "currentUser" => {
            let user = context.who.as_ref().map(|caller| Arc::clone(&caller.user));
            NodeValue::node(user.map(Node::CurrentUser))
        }
        "metadata" => NodeValue::node(context.who.as_ref().map(|_| Node::Metadata)),
        "queryComplexity" => NodeValue::Node(Node::QueryComplexity),
        "group" => {
            let state = context.gitlab.state();
            let group = state.group_at(path).filter(|group| {
                context.who.is_some()
                    || state.projects_of(group, true).any(|project| project.public)
            });
            NodeValue::node(group.map(Node::Group))
        }
        "project" => {
            let project = context.gitlab.state().project_at(path);
            let project = project.filter(|project| sees(&context.who, project));
            NodeValue::node(project.map(Node::Project))
        }
        "projects" => return projects(args, context),
        _ => NodeValue::Null,
    })
}

fn projects(args: &Args<'_>, context: &RequestContext) -> Resolved {
    let ids = args
        .texts("ids")
        .map(|ids| ids.iter().map(|id| number_of_gid("Project", id)).collect())
        .transpose()?;
    let ids: Option<HashSet<u64>> = ids;
    let paths: Option<HashSet<String>> = args
        .texts("fullPaths")
        .map(|paths| paths.iter().map(|path| path.to_lowercase()).collect());
    let all: Vec<Arc<Project>> = context.gitlab.state().projects.values().cloned().collect();
    let found = visible(all, args, context).filter(|project| {
        ids.as_ref().is_none_or(|ids| ids.contains(&project.id.0))
            && paths
                .as_ref()
                .is_none_or(|paths| paths.contains(&project.full_path.to_lowercase()))
    });
    let rows = match args.text("sort").map(str::to_lowercase).as_deref() {
        Some("latest_activity_desc") => rows(found, by_activity),
        Some("id_asc") => rows(found, |project| {
            Position::number(usize::try_from(project.id.0).unwrap_or(usize::MAX))
        }),
        _ => rows(found, |project| Position::newest(project.id.0)),
    };
    NodeValue::connection(rows, args)
}

pub(super) fn by_activity(project: &Project) -> Position {
    Position::by_activity(project.last_activity_at.as_second(), project.id.0)
}

pub(super) fn user(user: &User, field: &str) -> NodeValue {
    match field {
        "id" => NodeValue::from(gid("User", user.id)),
        "username" => NodeValue::from(user.username.as_str()),
        "name" => NodeValue::from(user.name.as_str()),
        _ => NodeValue::Null,
    }
}

pub(super) fn metadata(field: &str) -> NodeValue {
    match field {
        "version" => NodeValue::from(VERSION),
        "revision" => NodeValue::from("0000000"),
        "enterprise" => NodeValue::from(false),
        _ => NodeValue::Null,
    }
}

pub(super) fn query_complexity(field: &str, context: &RequestContext) -> NodeValue {
    let number = match field {
        "score" => context.score,
        _ => context.limit,
    };
    NodeValue::from(usize::try_from(number).unwrap_or(usize::MAX))
}
