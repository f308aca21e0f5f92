//! Repositories: their trees, files and commits.

use std::sync::Arc;

use async_graphql::Value;
use base64::Engine as _;
use gix::ObjectId;

use super::{Args, Node, NodeValue, RequestContext, Resolved, internal};
use crate::FakeGitlab;
use crate::graphql::connection::{Position, Row};
use crate::repository::{CommitInfo, Entry, EntryKind, File};
use crate::state::projects::Project;

pub(super) fn resolve(project: &Arc<Project>, field: &str, args: &Args<'_>) -> Resolved {
    let empty = || FakeGitlab::is_empty(&project.storage).map_err(|error| internal(&error));
    Ok(match field {
        "rootRef" => match empty()? {
            true => NodeValue::Null,
            false => NodeValue::from(project.default_branch.as_str()),
        },
        "empty" => NodeValue::from(empty()?),
        "exists" => NodeValue::from(true),
        "branchNames" => branch_names(project, args)?,
        "tree" => tree(project, args)?,
        "blobs" => return blobs(project, args),
        _ => NodeValue::Null,
    })
}

fn branch_names(project: &Project, args: &Args<'_>) -> Resolved {
    let pattern = args.text("searchPattern").unwrap_or_default();
    let refs = project.storage.refs().map_err(|error| internal(&error))?;
    let number = |name| usize::try_from(args.int(name).unwrap_or_default()).unwrap_or_default();
    let names = refs
        .iter()
        .filter_map(|(name, _)| name.strip_prefix("refs/heads/"))
        .filter(|name| matches(pattern, name))
        .skip(number("offset"))
        .take(number("limit"))
        .map(Value::from);
    Ok(NodeValue::Value(Value::List(names.collect())))
}

/// Returns whether a name matches a pattern, in which `*` is any text.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((start, rest)) => name.strip_prefix(start).is_some_and(|left| {
            let ends = left.char_indices().map(|(at, _)| at).chain([left.len()]);
            ends.into_iter().any(|at| matches(rest, &left[at..]))
        }),
    }
}

fn commit_of(project: &Project, args: &Args<'_>) -> async_graphql::Result<Option<ObjectId>> {
    let name = args.text("ref").filter(|name| !name.is_empty());
    project
        .storage
        .resolve(&project.default_branch, name)
        .map_err(|error| internal(&error))
}

/// A tree, which is read on demand.
#[derive(Debug)]
pub(crate) struct TreeNode {
    project: Arc<Project>,
    commit: ObjectId,
    path: String,
    entries: Vec<Entry>,
}

fn tree(project: &Arc<Project>, args: &Args<'_>) -> Resolved {
    let Some(commit) = commit_of(project, args)? else {
        return Ok(NodeValue::Null);
    };
    let path = args.text("path").unwrap_or_default();
    let entries = project
        .storage
        .tree(commit, path, args.is("recursive"))
        .map_err(|error| internal(&error))?;
    Ok(NodeValue::Node(Node::Tree(Arc::new(TreeNode {
        project: Arc::clone(project),
        commit,
        path: path.trim_matches('/').to_owned(),
        // A missing folder is empty.
        entries: entries.unwrap_or_default(),
    }))))
}

impl TreeNode {
    pub(super) fn resolve(&self, field: &str, args: &Args<'_>) -> Resolved {
        match field {
            "lastCommit" => {
                let commit = self.last_commit().map_err(|error| internal(&error))?;
                Ok(NodeValue::node(commit.map(|commit| {
                    let project = Arc::clone(&self.project);
                    Node::Commit(Arc::new(CommitNode { project, commit }))
                })))
            }
            "trees" => self.entries(EntryKind::Tree, args),
            "blobs" => self.entries(EntryKind::Blob, args),
            "submodules" => self.entries(EntryKind::Submodule, args),
            _ => Ok(NodeValue::Null),
        }
    }

    /// Returns the last commit that changed the tree, which for the root is the head.
    fn last_commit(&self) -> anyhow::Result<Option<CommitInfo>> {
        let storage = &self.project.storage;
        if self.path.is_empty() {
            return storage.commit(self.commit).map(Some);
        }
        let mut last = None;
        let now = ids(&self.entries);
        if now.is_empty() {
            return Ok(None);
        }
        for commit in storage.log(self.commit, None, usize::MAX)? {
            let entries = storage.tree(commit.id, &self.path, false)?;
            if ids(&entries.unwrap_or_default()) != now {
                break;
            }
            last = Some(commit);
        }
        Ok(last)
    }

    fn entries(&self, kind: EntryKind, args: &Args<'_>) -> Resolved {
        let entries = self.entries.iter().filter(|entry| entry.kind == kind);
        let rows = entries.enumerate().map(|(index, entry)| Row {
            position: Position::number(index),
            node: Node::Entry(Arc::new(EntryNode {
                project: Arc::clone(&self.project),
                commit: self.commit,
                entry: entry.clone(),
            })),
        });
        NodeValue::connection(rows.collect(), args)
    }
}

fn ids(entries: &[Entry]) -> Vec<(&str, ObjectId)> {
    let ids = entries.iter().map(|entry| (entry.path.as_str(), entry.id));
    ids.collect()
}

/// A commit.
#[derive(Debug)]
pub(crate) struct CommitNode {
    project: Arc<Project>,
    commit: CommitInfo,
}

impl CommitNode {
    pub(super) fn resolve(&self, field: &str, context: &RequestContext) -> NodeValue {
        let commit = &self.commit;
        match field {
            "id" => NodeValue::from(super::gid("CommitPresenter", commit.id)),
            "sha" => NodeValue::from(commit.id.to_string()),
            "shortId" => NodeValue::from(commit.short_id()),
            "title" => NodeValue::from(commit.title()),
            "message" => NodeValue::from(commit.message.as_str()),
            "authoredDate" => NodeValue::from(commit.authored_at),
            "committedDate" => NodeValue::from(commit.committed_at),
            "webUrl" => NodeValue::from(format!(
                "{}/{}/-/commit/{}",
                context.gitlab.url(),
                self.project.full_path,
                commit.id
            )),
            _ => NodeValue::Null,
        }
    }
}

/// An entry of a tree.
#[derive(Debug)]
pub(crate) struct EntryNode {
    project: Arc<Project>,
    commit: ObjectId,
    entry: Entry,
}

impl EntryNode {
    pub(super) fn resolve(&self, field: &str, context: &RequestContext) -> NodeValue {
        let entry = &self.entry;
        match field {
            "id" => NodeValue::from(super::gid(
                "Gitlab::Graphql::Representation::TreeEntry",
                entry.id,
            )),
            "sha" => NodeValue::from(entry.id.to_string()),
            "name" => NodeValue::from(entry.name()),
            "type" => NodeValue::from(match entry.kind {
                EntryKind::Tree => "tree",
                EntryKind::Blob => "blob",
                EntryKind::Submodule => "commit",
            }),
            "path" | "flatPath" => NodeValue::from(entry.path.as_str()),
            "mode" => NodeValue::from(entry.mode.as_str()),
            "webUrl" => NodeValue::from(format!(
                "{}/{}/-/blob/{}/{}",
                context.gitlab.url(),
                self.project.full_path,
                self.commit,
                entry.path
            )),
            _ => NodeValue::Null,
        }
    }
}

/// A file with its content.
#[derive(Debug)]
pub(crate) struct FileNode {
    project: Arc<Project>,
    commit: ObjectId,
    path: String,
    file: File,
}

fn blobs(project: &Arc<Project>, args: &Args<'_>) -> Resolved {
    let mut rows = Vec::new();
    if let Some(commit) = commit_of(project, args)? {
        for path in args.texts("paths").unwrap_or_default() {
            let file = project.storage.file(commit, &path);
            if let Some(file) = file.map_err(|error| internal(&error))? {
                rows.push(Row {
                    position: Position::number(rows.len()),
                    node: Node::File(Arc::new(FileNode {
                        project: Arc::clone(project),
                        commit,
                        path,
                        file,
                    })),
                });
            }
        }
    }
    NodeValue::connection(rows, args)
}

impl FileNode {
    pub(super) fn resolve(&self, field: &str) -> NodeValue {
        let file = &self.file;
        let page = |kind: &str| {
            let path = &self.project.full_path;
            NodeValue::from(format!("/{path}/-/{kind}/{}/{}", self.commit, self.path))
        };
        match field {
            "id" => NodeValue::from(super::gid("Blob", file.id)),
            "oid" => NodeValue::from(file.id.to_string()),
            "path" => NodeValue::from(self.path.as_str()),
            "name" => NodeValue::from(self.path.rsplit('/').next()),
            "mode" => NodeValue::from(file.mode.as_str()),
            "size" | "rawSize" => NodeValue::from(file.data.len().to_string()),
            // JSON cannot contain binary data.
            "rawBlob" => NodeValue::from(match file.text() {
                Some(text) => text.to_owned(),
                None => base64::engine::general_purpose::STANDARD.encode(&file.data),
            }),
            "rawTextBlob" => NodeValue::from(file.text()),
            "storedExternally" => NodeValue::from(false),
            "fileType" => NodeValue::from(file.text().map_or("download", |_| "text")),
            "webPath" => page("blob"),
            "rawPath" => page("raw"),
            _ => NodeValue::Null,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn matches_patterns_with_stars() {
        for (pattern, name, is) in [
            ("*", "main", true),
            ("main", "main", true),
            ("main", "mainly", false),
            ("re*/1.*", "release/1.0", true),
            ("re*/2.*", "release/1.0", false),
        ] {
            assert_eq!(matches(pattern, name), is, "{pattern} {name}");
        }
    }
}
