//! Settings of projects that have to do with CI.

use anyhow::Result;

use crate::state::roles::{Role, VariablesRole};
use crate::{FakeGitlab, ProjectId};

impl FakeGitlab {
    /// Sets where the configuration of pipelines is; empty is the usual place.
    pub fn set_ci_config_path(&self, project: ProjectId, path: &str) -> Result<()> {
        let now = self.clock().now();
        self.change_project(project, |project| {
            project.ci_config_path = Some(path.to_owned()).filter(|path| !path.is_empty());
            project.updated_at = now;
        })
    }

    /// Where the configuration of pipelines is, as it was set.
    pub fn ci_config_path(&self, project: ProjectId) -> Result<Option<String>> {
        Ok(self.project(project)?.ci_config_path.clone())
    }

    /// Protects a branch or tag. The default branch is protected from the beginning.
    pub fn protect_branch(&self, project: ProjectId, name: &str) -> Result<()> {
        self.set_protected(project, name, true)
    }

    /// Takes the protection of a branch or tag away.
    pub fn unprotect_branch(&self, project: ProjectId, name: &str) -> Result<()> {
        self.set_protected(project, name, false)
    }

    fn set_protected(&self, project: ProjectId, name: &str, protected: bool) -> Result<()> {
        self.change_project(project, |project| {
            project.protected.insert(name.to_owned(), protected);
        })
    }

    /// Sets who may give the pipelines of a project variables.
    pub fn set_variables_role(&self, project: ProjectId, role: VariablesRole) -> Result<()> {
        self.change_project(project, |project| project.variables_role = role)
    }

    /// Sets who may give the pipelines of new projects variables.
    pub fn set_variables_role_of_new_projects(&self, role: VariablesRole) {
        self.state().new_projects_variables = role;
    }

    /// Sets what everybody may do in a project for whom nothing else is said. Everybody is a
    /// maintainer at first; below that, settings are refused.
    pub fn set_role(&self, project: ProjectId, role: Role) -> Result<()> {
        self.change_project(project, |project| project.role = role)
    }

    /// Sets what a user may do in a project.
    pub fn set_role_of(&self, project: ProjectId, user: u64, role: Role) -> Result<()> {
        self.change_project(project, |project| {
            project.roles.insert(user, role);
        })
    }

    /// Sets how long the jobs of a project may run that say nothing about it, in seconds.
    pub fn set_build_timeout(&self, project: ProjectId, seconds: i64) -> Result<()> {
        self.change_project(project, |project| project.build_timeout = seconds)
    }
}
