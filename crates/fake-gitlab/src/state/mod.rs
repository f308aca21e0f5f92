//! What the stand-in remembers: everything but the git repositories.

pub(crate) mod hooks;
pub(crate) mod merge_requests;
pub(crate) mod projects;
pub(crate) mod tokens;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use hooks::Hook;
use merge_requests::MergeRequest;
use projects::{Group, Project};
use tokens::{Token, User};

/// All tables. What is in them is shared and replaced when it changes, so that a request sees each
/// row whole.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) groups: BTreeMap<u64, Arc<Group>>,
    pub(crate) projects: BTreeMap<u64, Arc<Project>>,
    /// Lower-case full paths.
    pub(crate) group_paths: HashMap<String, u64>,
    /// Lower-case full paths.
    pub(crate) project_paths: HashMap<String, u64>,
    /// Lower-case full paths that projects had before they were renamed.
    pub(crate) old_project_paths: HashMap<String, u64>,
    pub(crate) merge_requests: BTreeMap<(u64, u64), Arc<MergeRequest>>,
    pub(crate) hooks: BTreeMap<u64, Arc<Hook>>,
    pub(crate) users: BTreeMap<u64, Arc<User>>,
    /// By secret.
    pub(crate) tokens: HashMap<String, Arc<Token>>,
    last_id: u64,
    last_project_id: u64,
}

impl State {
    /// An id for anything but a project.
    pub(crate) fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// Projects count for themselves, so that the first project has the id 1.
    pub(crate) fn next_project_id(&mut self) -> u64 {
        self.last_project_id += 1;
        self.last_project_id
    }

    pub(crate) fn group_at(&self, path: &str) -> Option<Arc<Group>> {
        let id = self.group_paths.get(&path.to_lowercase())?;
        self.groups.get(id).cloned()
    }

    /// The project of a path, one that it had before included.
    pub(crate) fn project_at(&self, path: &str) -> Option<Arc<Project>> {
        let path = path.to_lowercase();
        let id = self
            .project_paths
            .get(&path)
            .or_else(|| self.old_project_paths.get(&path))?;
        self.projects.get(id).cloned()
    }

    /// The projects of a group, in the order of their ids.
    pub(crate) fn projects_of<'a>(
        &'a self,
        group: &'a Group,
        subgroups: bool,
    ) -> impl Iterator<Item = &'a Arc<Project>> {
        self.projects.values().filter(move |project| {
            project
                .below(&group.full_path)
                .is_some_and(|rest| subgroups || !rest.contains('/'))
        })
    }

    pub(crate) fn merge_requests_of(
        &self,
        project: u64,
    ) -> impl Iterator<Item = &Arc<MergeRequest>> {
        self.merge_requests
            .range((project, 0)..=(project, u64::MAX))
            .map(|(_, merge_request)| merge_request)
    }
}
