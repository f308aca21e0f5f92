//! Payloads of webhooks.

use anyhow::Result;
use gix::ObjectId;
use serde_json::{Value, json};

use crate::actions::pushes::RefChange;
use crate::repository::{CommitInfo, disk};
use crate::state::merge_requests::MergeRequest;
use crate::state::projects::Project;
use crate::state::tokens::User;

/// The maximum number of commits in a payload.
const MAX_COMMITS: usize = 20;
/// The maximum of the commit count.
const MAX_COUNTED: usize = 10_000;

fn hex(id: Option<ObjectId>) -> String {
    id.map_or_else(|| "0".repeat(40), |id| id.to_string())
}

/// Returns the payload of a push of a branch or tag.
pub(crate) fn push(url: &str, project: &Project, change: &RefChange, user: &User) -> Result<Value> {
    let kind = if change.branch().is_some() {
        "push"
    } else {
        "tag_push"
    };
    let checkout = match change.after {
        Some(_) => {
            let id = project
                .storage
                .resolve(&project.default_branch, Some(&change.name))?;
            id.map(|id| id.to_string())
        }
        None => None,
    };
    let (commits, total) = match kind {
        "push" => commits(url, project, change)?,
        _ => (Vec::new(), 0),
    };
    Ok(json!({
        "object_kind": kind,
        "event_name": kind,
        "before": hex(change.before),
        "after": hex(change.after),
        "ref": change.name,
        "ref_protected": change.branch().is_some_and(|name| project.is_protected(name)),
        "checkout_sha": checkout,
        "message": null,
        "user_id": user.id,
        "user_name": user.name,
        "user_username": user.username,
        "user_email": "",
        "user_avatar": null,
        "project_id": project.id.0,
        "project": project_entry(url, project),
        "commits": commits,
        "total_commits_count": total,
        "push_options": {},
        "repository": {
            "name": project.path(),
            "url": format!("ssh://git@127.0.0.1/{}.git", project.full_path),
            "description": project.description,
            "homepage": format!("{url}/{}", project.full_path),
            "git_http_url": format!("{url}/{}.git", project.full_path),
            "git_ssh_url": format!("ssh://git@127.0.0.1/{}.git", project.full_path),
            "visibility_level": visibility_level(project),
        },
    }))
}

/// Returns the new commits of a branch, oldest first.
fn commits(url: &str, project: &Project, change: &RefChange) -> Result<(Vec<Value>, usize)> {
    let Some(after) = change.after else {
        return Ok((Vec::new(), 0));
    };
    let storage = &project.storage;
    // Commits that the default branch contains are not new on another branch.
    let hidden = match change.before {
        Some(before) => Some(before),
        None if change.branch() == Some(project.default_branch.as_str()) => None,
        None => storage.resolve(&project.default_branch, None)?,
    };
    let mut new = storage.log(after, hidden, MAX_COUNTED)?;
    let total = new.len();
    new.truncate(MAX_COMMITS);
    new.reverse();
    let entries = new.iter().map(|commit| {
        let changed = disk::changed(storage, commit.id, commit.parents.first().copied())?;
        let mut entry = commit_entry(url, project, commit);
        entry["added"] = json!(changed.added);
        entry["modified"] = json!(changed.modified);
        entry["removed"] = json!(changed.removed);
        Ok(entry)
    });
    Ok((entries.collect::<Result<_>>()?, total))
}

pub(super) fn commit_entry(url: &str, project: &Project, commit: &CommitInfo) -> Value {
    json!({
        "id": commit.id.to_string(),
        "message": commit.message,
        "title": commit.title(),
        "timestamp": commit.committed_at.to_string(),
        "url": format!("{url}/{}/-/commit/{}", project.full_path, commit.id),
        "author": { "name": commit.author_name, "email": commit.author_email },
    })
}

fn visibility_level(project: &Project) -> u8 {
    if project.public { 20 } else { 0 }
}

pub(super) fn project_entry(url: &str, project: &Project) -> Value {
    json!({
        "id": project.id.0,
        "name": project.path(),
        "description": project.description,
        "web_url": format!("{url}/{}", project.full_path),
        "avatar_url": null,
        "git_ssh_url": format!("ssh://git@127.0.0.1/{}.git", project.full_path),
        "git_http_url": format!("{url}/{}.git", project.full_path),
        "namespace": project.namespace(),
        "visibility_level": visibility_level(project),
        "path_with_namespace": project.full_path,
        "default_branch": project.default_branch,
        "ci_config_path": project.ci_config_path,
    })
}

/// An event of a merge request.
pub(crate) struct MergeRequestEvent<'a> {
    pub(crate) row: &'a MergeRequest,
    pub(crate) target: &'a Project,
    pub(crate) source: &'a Project,
    pub(crate) action: &'a str,
    /// The head before a push moved it.
    pub(crate) old_head: Option<ObjectId>,
    pub(crate) user: &'a User,
}

/// Returns the payload of a merge request event.
pub(crate) fn merge_request(url: &str, event: &MergeRequestEvent<'_>) -> Result<Value> {
    let MergeRequestEvent {
        row,
        target,
        source,
        ..
    } = event;
    let last_commit = source
        .storage
        .commit(row.head)
        .or_else(|_| target.storage.commit(row.head))?;
    let mut payload = json!({
        "object_kind": "merge_request",
        "event_type": "merge_request",
        "user": {
            "id": event.user.id,
            "name": event.user.name,
            "username": event.user.username,
            "avatar_url": null,
            "email": "[REDACTED]",
        },
        "project": project_entry(url, target),
        "object_attributes": {
            "id": row.id,
            "iid": row.iid,
            "title": row.title,
            "description": row.description,
            "state": row.state.name(),
            "source_branch": row.source_branch,
            "target_branch": row.target_branch,
            "source_project_id": row.source_project,
            "target_project_id": row.project,
            "source": project_entry(url, source),
            "target": project_entry(url, target),
            "last_commit": commit_entry(url, source, &last_commit),
            "merge_commit_sha": row.merge_commit.map(|id| id.to_string()),
            "detailed_merge_status": "mergeable",
            "draft": row.is_draft(),
            "work_in_progress": row.is_draft(),
            "created_at": row.created_at.to_string(),
            "updated_at": row.updated_at.to_string(),
            "url": format!("{url}/{}/-/merge_requests/{}", target.full_path, row.iid),
            "action": event.action,
        },
        "changes": {},
        "labels": [],
        "reviewers": [],
    });
    if let Some(old) = event.old_head {
        payload["object_attributes"]["oldrev"] = json!(old.to_string());
    }
    Ok(payload)
}
