//! Opening, merging and closing merge requests.

use std::sync::Arc;

use anyhow::{Context as _, Result, bail, ensure};
use gix::ObjectId;

use crate::repository::git;
use crate::state::merge_requests::{MergeRequest, MergeRequestState};
use crate::state::tokens::User;
use crate::webhooks::payloads;
use crate::{FakeGitlab, ProjectId};

use super::pushes::RefChange;

impl FakeGitlab {
    /// Opens a merge request and returns its number within the target project. The source may be the target itself or a
    /// fork.
    pub fn open_merge_request(
        &self,
        target: ProjectId,
        target_branch: &str,
        source: ProjectId,
        source_branch: &str,
        title: &str,
    ) -> Result<u64> {
        let head = self.commit_of(source, Some(&format!("refs/heads/{source_branch}")))?;
        let now = self.clock().now();
        let merge_request = {
            let mut state = self.state();
            let other = state.merge_requests_of(target.0).find(|other| {
                other.state == MergeRequestState::Opened
                    && other.source_project == source.0
                    && other.source_branch == source_branch
                    && other.target_branch == target_branch
            });
            if let Some(other) = other {
                bail!(
                    "Another open merge request already exists for this source branch: !{}",
                    other.iid
                );
            }
            let id = state.next_id();
            let mut iid = 0;
            state.change_project(target, |project| {
                project.last_merge_request += 1;
                iid = project.last_merge_request;
            })?;
            let row = Arc::new(MergeRequest {
                id,
                iid,
                title: title.to_owned(),
                description: None,
                state: MergeRequestState::Opened,
                project: target.0,
                source_project: source.0,
                source_branch: source_branch.to_owned(),
                target_branch: target_branch.to_owned(),
                head,
                merge_commit: None,
                merged_at: None,
                created_at: now,
                updated_at: now,
            });
            state
                .merge_requests
                .insert((target.0, iid), Arc::clone(&row));
            row
        };
        self.copy_head(&merge_request, head)?;
        let user = self.first_user()?;
        self.notify_merge_request(&merge_request, "open", None, &user)?;
        Ok(merge_request.iid)
    }

    /// Merges a merge request with a merge commit, and returns the id of that commit.
    pub fn merge(&self, project: ProjectId, iid: u64) -> Result<String> {
        let row = self.open_one(project, iid)?;
        let path = self.materialise(project)?;
        let name = format!("refs/heads/{}", row.target_branch);
        let before = self.commit_of(project, Some(&name))?;
        let message = format!(
            "Merge branch '{}' into '{}'\n\n{}\n",
            row.source_branch, row.target_branch, row.title
        );
        let now = self.clock().now();
        let commit = git::merge(&path, &row.target_branch, before, row.head, &message, now)?;
        let merged = self.change_merge_request(&row, |row| {
            row.state = MergeRequestState::Merged;
            row.merge_commit = Some(commit);
            row.merged_at = Some(now);
            row.updated_at = now;
        })?;
        let change = RefChange {
            name,
            before: Some(before),
            after: Some(commit),
        };
        self.pushed(project, &[change], None)?;
        let user = self.first_user()?;
        self.notify_merge_request(&merged, "merge", None, &user)?;
        Ok(commit.to_string())
    }

    /// Closes a merge request without merging it.
    pub fn close(&self, project: ProjectId, iid: u64) -> Result<()> {
        let row = self.open_one(project, iid)?;
        let now = self.clock().now();
        let closed = self.change_merge_request(&row, |row| {
            row.state = MergeRequestState::Closed;
            row.updated_at = now;
        })?;
        let user = self.first_user()?;
        self.notify_merge_request(&closed, "close", None, &user)
    }

    fn open_one(&self, project: ProjectId, iid: u64) -> Result<Arc<MergeRequest>> {
        let state = self.state();
        let row = state
            .merge_requests
            .get(&(project.0, iid))
            .with_context(|| format!("project {project} has no merge request {iid}"))?;
        ensure!(
            row.state == MergeRequestState::Opened,
            "the merge request is {}",
            row.state.name()
        );
        Ok(Arc::clone(row))
    }

    pub(crate) fn change_merge_request(
        &self,
        row: &MergeRequest,
        change: impl FnOnce(&mut MergeRequest),
    ) -> Result<Arc<MergeRequest>> {
        let mut state = self.state();
        let row = state
            .merge_requests
            .get_mut(&(row.project, row.iid))
            .context("the merge request was deleted")?;
        change(Arc::make_mut(row));
        Ok(Arc::clone(row))
    }

    pub(crate) fn notify_merge_request(
        &self,
        row: &MergeRequest,
        action: &str,
        old_head: Option<ObjectId>,
        user: &User,
    ) -> Result<()> {
        let target = self.project(ProjectId(row.project))?;
        let hooks = self.hooks_of(&target, |options| options.merge_requests_events);
        if hooks.is_empty() {
            return Ok(());
        }
        let source = self.project(ProjectId(row.source_project))?;
        let payload = payloads::merge_request(
            self.url(),
            &payloads::MergeRequestEvent {
                row,
                target: &target,
                source: &source,
                action,
                old_head,
                user,
            },
        )?;
        self.webhooks()
            .queue(&hooks, "Merge Request Hook", &payload);
        Ok(())
    }
}
