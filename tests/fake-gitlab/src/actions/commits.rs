//! Commits, branches and tags, as if a user had pushed them.

use anyhow::{Context as _, Result};
use gix::ObjectId;

use crate::repository::git;
use crate::{FakeGitlab, ProjectId};

use super::pushes::RefChange;

impl FakeGitlab {
    /// Commits files to a branch like a push, with its event, timestamps and hooks. `None` removes a file; a branch
    /// that does not exist starts at the default branch.
    ///
    /// Returns the id of the new commit.
    pub fn commit(
        &self,
        project: ProjectId,
        branch: &str,
        files: &[(&str, Option<&[u8]>)],
        message: &str,
    ) -> Result<String> {
        let change = self.write_commit(project, branch, files, message)?;
        let id = change.after.context("the branch was deleted")?;
        self.pushed(project, &[change], None)?;
        Ok(id.to_string())
    }

    /// Commits like [`Self::commit`], but as if the event had been lost: only the branch moves.
    pub fn push_without_event(
        &self,
        project: ProjectId,
        branch: &str,
        files: &[(&str, Option<&[u8]>)],
        message: &str,
    ) -> Result<String> {
        let change = self.write_commit(project, branch, files, message)?;
        Ok(change.after.context("the branch was deleted")?.to_string())
    }

    /// Creates a tag at the default branch, or at another ref or commit. With a message it is annotated.
    pub fn tag(
        &self,
        project: ProjectId,
        name: &str,
        target: Option<&str>,
        message: Option<&str>,
    ) -> Result<()> {
        let commit = self.commit_of(project, target)?;
        let path = self.materialise(project)?;
        let full = format!("refs/tags/{name}");
        let before = direct_ref(&path, &full);
        let target = match message {
            None => commit,
            Some(message) => annotated(&path, name, commit, message, self.clock().now())?,
        };
        git::update_ref(&path, &full, Some(target))?;
        let change = RefChange {
            name: full,
            before,
            after: Some(target),
        };
        self.pushed(project, &[change], None)
    }

    /// Creates a branch at a ref or commit, or moves it there, fast-forward or not.
    pub fn set_branch(&self, project: ProjectId, branch: &str, target: &str) -> Result<()> {
        let after = Some(self.commit_of(project, Some(target))?);
        self.move_branch(project, branch, after)
    }

    /// Deletes a branch.
    pub fn delete_branch(&self, project: ProjectId, branch: &str) -> Result<()> {
        self.move_branch(project, branch, None)
    }

    /// Returns the commit id of a ref; `None` is the default branch.
    pub fn head(&self, project: ProjectId, name: Option<&str>) -> Result<Option<String>> {
        let project = self.project(project)?;
        let id = project.storage.resolve(&project.default_branch, name)?;
        Ok(id.map(|id| id.to_string()))
    }

    fn move_branch(&self, project: ProjectId, branch: &str, after: Option<ObjectId>) -> Result<()> {
        let path = self.materialise(project)?;
        let name = format!("refs/heads/{branch}");
        let before = direct_ref(&path, &name);
        git::update_ref(&path, &name, after)?;
        let change = RefChange {
            name,
            before,
            after,
        };
        self.pushed(project, &[change], None)
    }

    fn write_commit(
        &self,
        id: ProjectId,
        branch: &str,
        files: &[(&str, Option<&[u8]>)],
        message: &str,
    ) -> Result<RefChange> {
        let path = self.materialise(id)?;
        let project = self.project(id)?;
        let name = format!("refs/heads/{branch}");
        let resolve = |name| project.storage.resolve(&project.default_branch, name);
        let before = resolve(Some(&name))?;
        let parent = match before {
            Some(before) => Some(before),
            None => resolve(None)?,
        };
        git::commit(&path, branch, parent, files, message, self.clock().now())?;
        Ok(RefChange {
            before,
            after: resolve(Some(&name))?,
            name,
        })
    }

    pub(crate) fn commit_of(&self, project: ProjectId, name: Option<&str>) -> Result<ObjectId> {
        let project = self.project(project)?;
        project
            .storage
            .resolve(&project.default_branch, name)?
            .with_context(|| format!("ref `{}` does not exist", name.unwrap_or("HEAD")))
    }
}

/// Returns the target of a ref, without peeling an annotated tag.
fn direct_ref(path: &std::path::Path, name: &str) -> Option<ObjectId> {
    let text = git::run(path, &["rev-parse", "--verify", "--quiet", name], b"").ok()?;
    ObjectId::from_hex(text.as_bytes()).ok()
}

fn annotated(
    path: &std::path::Path,
    name: &str,
    commit: ObjectId,
    message: &str,
    at: jiff::Timestamp,
) -> Result<ObjectId> {
    use crate::repository::objects::{AUTHOR_EMAIL, AUTHOR_NAME};
    let text = format!(
        "object {commit}\ntype commit\ntag {name}\ntagger {AUTHOR_NAME} <{AUTHOR_EMAIL}> {} \
         +0000\n\n{message}\n",
        at.as_second()
    );
    let id = git::run(path, &["mktag"], text.as_bytes())?;
    ObjectId::from_hex(id.as_bytes()).map_err(crate::broken)
}
