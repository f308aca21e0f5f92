//! Effects of a push.

use std::sync::Arc;

use anyhow::Result;
use gix::ObjectId;

use crate::repository::{Storage, git};
use crate::state::merge_requests::{MergeRequest, MergeRequestState};
use crate::state::tokens::User;
use crate::webhooks::payloads;
use crate::{FakeGitlab, ProjectId};

/// A ref that a push moved.
#[derive(Clone, Debug)]
pub(crate) struct RefChange {
    pub(crate) name: String,
    pub(crate) before: Option<ObjectId>,
    pub(crate) after: Option<ObjectId>,
}

impl RefChange {
    pub(crate) fn branch(&self) -> Option<&str> {
        self.name.strip_prefix("refs/heads/")
    }
}

/// A push that changes more refs than this triggers no hooks.
const MAX_REFS_FOR_HOOKS: usize = 3;

impl FakeGitlab {
    /// Applies the effects of a push: timestamps, merge requests, hooks. Without a user, the first one pushed.
    pub(crate) fn pushed(
        &self,
        id: ProjectId,
        changes: &[RefChange],
        user: Option<&Arc<User>>,
    ) -> Result<()> {
        if changes.is_empty() {
            return Ok(());
        }
        let now = self.clock().now();
        self.change_project(id, |project| project.record_push(now))?;
        self.choose_default_branch(id, changes)?;
        let user = match user {
            Some(user) => Arc::clone(user),
            None => self.first_user()?,
        };
        if changes.len() <= MAX_REFS_FOR_HOOKS {
            self.notify_push(id, changes, &user)?;
        }
        for change in changes {
            self.update_merge_requests(id, change, &user)?;
        }
        Ok(())
    }

    /// Makes the first branch of a repository its default if the configured one does not exist.
    fn choose_default_branch(&self, id: ProjectId, changes: &[RefChange]) -> Result<()> {
        let project = self.project(id)?;
        let head = project.storage.resolve(&project.default_branch, None)?;
        let created = changes
            .iter()
            .find(|change| change.before.is_none() && change.after.is_some());
        let Some(branch) = created.and_then(RefChange::branch) else {
            return Ok(());
        };
        let branches = project.storage.refs()?;
        let only_new = branches
            .iter()
            .filter(|(name, _)| name.starts_with("refs/heads/"))
            .all(|(name, _)| changes.iter().any(|change| &change.name == name));
        if head.is_none() && only_new {
            self.set_default_branch(id, branch)?;
        }
        Ok(())
    }

    fn notify_push(&self, id: ProjectId, changes: &[RefChange], user: &User) -> Result<()> {
        let project = self.project(id)?;
        for change in changes {
            let is_tag = change.branch().is_none();
            let hooks = self.hooks_of(&project, |options| match is_tag {
                true => options.tag_push_events,
                false => options.push_events,
            });
            if hooks.is_empty() {
                continue;
            }
            let payload = payloads::push(self.url(), &project, change, user)?;
            let event = if is_tag { "Tag Push Hook" } else { "Push Hook" };
            self.webhooks().queue(&hooks, event, &payload);
        }
        Ok(())
    }

    /// Moves open merge requests with their source branch.
    fn update_merge_requests(
        &self,
        source: ProjectId,
        change: &RefChange,
        user: &User,
    ) -> Result<()> {
        let (Some(branch), Some(after)) = (change.branch(), change.after) else {
            return Ok(());
        };
        let now = self.clock().now();
        let affected: Vec<Arc<MergeRequest>> = self
            .state()
            .merge_requests
            .values()
            .filter(|merge_request| {
                merge_request.source_project == source.0
                    && merge_request.source_branch == branch
                    && merge_request.state == MergeRequestState::Opened
                    && merge_request.head != after
            })
            .cloned()
            .collect();
        for merge_request in affected {
            let old = merge_request.head;
            self.copy_head(&merge_request, after)?;
            let changed = self.change_merge_request(&merge_request, |row| {
                row.head = after;
                row.updated_at = now;
            })?;
            self.notify_merge_request(&changed, "update", Some(old), user)?;
        }
        Ok(())
    }

    /// Copies the head of a merge request into the target's repository.
    pub(crate) fn copy_head(&self, merge_request: &MergeRequest, head: ObjectId) -> Result<()> {
        let target = self.materialise(ProjectId(merge_request.project))?;
        let name = merge_request.head_ref();
        if merge_request.source_project == merge_request.project {
            return git::update_ref(&target, &name, Some(head));
        }
        let source = self.materialise(ProjectId(merge_request.source_project))?;
        git::fetch(&target, &source, head, &name)
    }

    pub(crate) fn is_empty(storage: &Storage) -> Result<bool> {
        Ok(match storage {
            Storage::Nothing => true,
            Storage::Memory(_) => false,
            Storage::Disk(_) => storage.refs()?.is_empty(),
        })
    }
}
