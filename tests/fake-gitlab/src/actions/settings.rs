//! CI settings of projects, and what groups offer.

use anyhow::Result;

use crate::state::roles::{GroupRole, Role, VariablesRole};
use crate::{FakeGitlab, ProjectId};

impl FakeGitlab {
    /// Sets the path of the CI configuration; empty is the default path.
    pub fn set_ci_config_path(&self, project: ProjectId, path: &str) -> Result<()> {
        let now = self.clock().now();
        self.change_project(project, |project| {
            project.ci_config_path = Some(path.to_owned()).filter(|path| !path.is_empty());
            project.updated_at = now;
        })
    }

    /// Returns the path of the CI configuration, as it was set.
    pub fn ci_config_path(&self, project: ProjectId) -> Result<Option<String>> {
        Ok(self.project(project)?.ci_config_path.clone())
    }

    /// Protects a branch or tag. The default branch is protected from the beginning.
    pub fn protect_branch(&self, project: ProjectId, name: &str) -> Result<()> {
        self.set_protected(project, name, true)
    }

    /// Unprotects a branch or tag.
    pub fn unprotect_branch(&self, project: ProjectId, name: &str) -> Result<()> {
        self.set_protected(project, name, false)
    }

    fn set_protected(&self, project: ProjectId, name: &str, protected: bool) -> Result<()> {
        self.change_project(project, |project| {
            project.protected.insert(name.to_owned(), protected);
        })
    }

    /// Sets the minimum role for pipeline variables of a project.
    pub fn set_variables_role(&self, project: ProjectId, role: VariablesRole) -> Result<()> {
        self.change_project(project, |project| project.variables_role = role)
    }

    /// Sets the minimum role for pipeline variables of new projects.
    pub fn set_variables_role_of_new_projects(&self, role: VariablesRole) {
        self.state().new_projects_variables = role;
    }

    /// Sets the role of all users in a project. Initially they are maintainers; settings are rejected below that.
    pub fn set_role(&self, project: ProjectId, role: Role) -> Result<()> {
        self.change_project(project, |project| project.role = role)
    }

    /// Sets the role of all users in all groups; `None` if they are not members. The default is Owner.
    pub fn set_group_role(&self, role: Option<Role>) {
        self.state().group_role = GroupRole(role);
    }

    pub(crate) fn group_role(&self) -> Option<Role> {
        self.state().group_role.0
    }

    /// Sets whether groups can have webhooks, which only some editions of GitLab support.
    pub fn set_group_hooks(&self, available: bool) {
        self.state().lacks_group_hooks = !available;
    }

    pub(crate) fn has_group_hooks(&self) -> bool {
        !self.state().lacks_group_hooks
    }

    /// Sets the timeout of the project's jobs that have none of their own, in seconds.
    pub fn set_build_timeout(&self, project: ProjectId, seconds: i64) -> Result<()> {
        self.change_project(project, |project| project.build_timeout = seconds)
    }
}
