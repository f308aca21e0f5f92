//! Creating, moving, archiving and deleting groups and projects.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};

use crate::repository::{Storage, disk, git};
use crate::state::State;
use crate::state::projects::{Group, Project};
use crate::{FakeGitlab, ProjectId};

impl FakeGitlab {
    /// Creates a group with its missing parents. Does nothing if it exists.
    pub fn create_group(&self, full_path: &str) -> Result<()> {
        ensure_group(&mut self.state(), full_path)?;
        Ok(())
    }

    /// Creates a project with an empty repository, and its missing parent groups.
    pub fn create_project(&self, full_path: &str) -> Result<ProjectId> {
        self.add_project(full_path, Storage::Nothing)
    }

    /// Creates a project for an existing bare repository, which is used in place and changed by pushes.
    pub fn adopt(&self, repository: &Path, full_path: &str) -> Result<ProjectId> {
        let branch = disk::default_branch(repository)?;
        let storage = Storage::Disk(fs_err::canonicalize(repository)?);
        let id = self.add_project(full_path, storage)?;
        if let Some(branch) = branch {
            self.change_project(id, |project| project.default_branch = branch)?;
        }
        Ok(id)
    }

    pub(crate) fn add_project(&self, full_path: &str, storage: Storage) -> Result<ProjectId> {
        let now = self.clock().now();
        let mut state = self.state();
        insert_project(&mut state, full_path, |id, full_path| {
            Project::new(id, full_path, storage, now)
        })
    }

    /// Returns the id of the project at a full path.
    pub fn project_id(&self, full_path: &str) -> Option<ProjectId> {
        Some(self.state().project_at(full_path)?.id)
    }

    /// Sets the default branch.
    pub fn set_default_branch(&self, project: ProjectId, branch: &str) -> Result<()> {
        self.change_project(project, |project| {
            project.default_branch = branch.to_owned();
        })?;
        let path = self.materialise(project)?;
        git::run(
            &path,
            &["symbolic-ref", "HEAD", &format!("refs/heads/{branch}")],
            b"",
        )?;
        Ok(())
    }

    /// Moves a project to another full path. The old path redirects.
    pub fn rename(&self, project: ProjectId, new_full_path: &str) -> Result<()> {
        let now = self.clock().now();
        let mut state = self.state();
        let old = state.project(project)?.full_path.to_lowercase();
        let new = new_full_path.to_lowercase();
        ensure!(
            !state.project_paths.contains_key(&new),
            "{new_full_path} has already been taken"
        );
        if let Some((namespace, _)) = new_full_path.rsplit_once('/') {
            ensure_group(&mut state, namespace)?;
        }
        state.project_paths.remove(&old);
        state.old_project_paths.remove(&new);
        state.old_project_paths.insert(old, project.0);
        state.project_paths.insert(new, project.0);
        state.change_project(project, |project| {
            project.full_path = new_full_path.to_owned();
            project.updated_at = now;
        })
    }

    /// Archives or unarchives a project.
    pub fn archive(&self, project: ProjectId, archived: bool) -> Result<()> {
        let now = self.clock().now();
        self.change_project(project, |project| {
            project.archived = archived;
            project.updated_at = now;
        })
    }

    /// Marks a project for deletion, which GitLab does before it deletes one.
    pub fn mark_for_deletion(&self, project: ProjectId) -> Result<()> {
        let now = self.clock().now();
        self.change_project(project, |project| {
            project.marked_for_deletion = Some(now);
            project.updated_at = now;
        })
    }

    /// Deletes a project. An adopted repository is kept.
    pub fn delete(&self, project: ProjectId) -> Result<()> {
        {
            let mut state = self.state();
            let path = state.project(project)?.full_path.to_lowercase();
            state.project_paths.remove(&path);
            state.old_project_paths.retain(|_, id| *id != project.0);
            state.merge_requests.retain(|(id, _), _| *id != project.0);
            state.projects.remove(&project.0);
        }
        let pipelines: Vec<_> = self.pipelines(project);
        let mut change = self.change();
        for pipeline in pipelines {
            change.delete_pipeline(pipeline.id)?;
        }
        drop(change);
        let path = self.repository_path(project);
        if path.exists() {
            fs_err::remove_dir_all(path)?;
        }
        Ok(())
    }

    /// Makes a project public, or visible only with a token.
    pub fn set_public(&self, project: ProjectId, public: bool) -> Result<()> {
        self.change_project(project, |project| project.public = public)
    }

    /// Sets the description of a project. Like every setting, this changes `updatedAt`.
    pub fn set_description(&self, project: ProjectId, description: &str) -> Result<()> {
        let now = self.clock().now();
        self.change_project(project, |project| {
            project.description = Some(description.to_owned());
            project.updated_at = now;
        })
    }

    pub(crate) fn change_project(
        &self,
        project: ProjectId,
        change: impl FnOnce(&mut Project),
    ) -> Result<()> {
        self.state().change_project(project, change)
    }

    pub(crate) fn project(&self, project: ProjectId) -> Result<Arc<Project>> {
        self.state().project(project)
    }

    /// Returns the path of a project's repository, after writing it to disk if it is in memory.
    pub(crate) fn materialise(&self, project: ProjectId) -> Result<std::path::PathBuf> {
        let mut state = self.state();
        let row = state.project(project)?;
        let path = self.repository_path(project);
        match &row.storage {
            Storage::Disk(path) => return Ok(path.clone()),
            Storage::Nothing => disk::init(&path, &row.default_branch)?,
            Storage::Memory(imported) => imported.write(&path)?,
        }
        state.change_project(project, |project| {
            project.storage = Storage::Disk(path.clone());
        })?;
        Ok(path)
    }
}

impl State {
    pub(crate) fn project(&self, id: ProjectId) -> Result<Arc<Project>> {
        let project = self.projects.get(&id.0);
        project
            .cloned()
            .with_context(|| format!("project {id} does not exist"))
    }

    pub(crate) fn change_project(
        &mut self,
        id: ProjectId,
        change: impl FnOnce(&mut Project),
    ) -> Result<()> {
        let project = self
            .projects
            .get_mut(&id.0)
            .with_context(|| format!("project {id} does not exist"))?;
        change(Arc::make_mut(project));
        Ok(())
    }
}

pub(crate) fn insert_project(
    state: &mut State,
    full_path: &str,
    project: impl FnOnce(u64, String) -> Project,
) -> Result<ProjectId> {
    let key = full_path.to_lowercase();
    ensure!(
        !state.project_paths.contains_key(&key),
        "{full_path} has already been taken"
    );
    let (namespace, name) = full_path
        .rsplit_once('/')
        .with_context(|| format!("{full_path} is not in a group"))?;
    ensure!(!name.is_empty(), "{full_path} ends with a slash");
    ensure_group(state, namespace)?;
    let id = state.next_project_id();
    let mut project = project(id, full_path.to_owned());
    project.variables_role = state.new_projects_variables;
    state.projects.insert(id, Arc::new(project));
    state.old_project_paths.remove(&key);
    state.project_paths.insert(key, id);
    Ok(ProjectId(id))
}

/// Creates a group with its missing parents.
pub(crate) fn ensure_group(state: &mut State, full_path: &str) -> Result<u64> {
    ensure!(
        !full_path.is_empty() && full_path.split('/').all(|part| !part.is_empty()),
        "{full_path:?} is not the path of a group"
    );
    if let Some(id) = state.group_paths.get(&full_path.to_lowercase()) {
        return Ok(*id);
    }
    if let Some((above, _)) = full_path.rsplit_once('/') {
        ensure_group(state, above)?;
    }
    let id = state.next_id();
    let group = Group {
        id,
        full_path: full_path.to_owned(),
    };
    state.groups.insert(id, Arc::new(group));
    state.group_paths.insert(full_path.to_lowercase(), id);
    Ok(id)
}
