//! Roles of users in projects.

use std::str::FromStr;

/// The role of a user in a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Has hardly any permissions.
    Guest,
    /// Can read.
    Reporter,
    /// Can push and run pipelines, except on protected branches.
    Developer,
    /// Can change settings.
    Maintainer,
    /// Can do everything.
    Owner,
}

impl Role {
    /// Returns GitLab's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Guest => "guest",
            Self::Reporter => "reporter",
            Self::Developer => "developer",
            Self::Maintainer => "maintainer",
            Self::Owner => "owner",
        }
    }

    /// Returns GitLab's number.
    pub fn level(self) -> u32 {
        match self {
            Self::Guest => 10,
            Self::Reporter => 20,
            Self::Developer => 30,
            Self::Maintainer => 40,
            Self::Owner => 50,
        }
    }
}

/// The role of all users in all groups, if they are members.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GroupRole(pub(crate) Option<Role>);

impl Default for GroupRole {
    fn default() -> Self {
        Self(Some(Role::Owner))
    }
}

/// The minimum role for pipeline variables: `ci_pipeline_variables_minimum_override_role`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VariablesRole {
    /// Variables are not allowed.
    NoOneAllowed,
    /// Developers and above.
    Developer,
    /// Maintainers and above, the default of a self-managed GitLab.
    #[default]
    Maintainer,
    /// Owners.
    Owner,
}

impl VariablesRole {
    /// Returns GitLab's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoOneAllowed => "no_one_allowed",
            Self::Developer => "developer",
            Self::Maintainer => "maintainer",
            Self::Owner => "owner",
        }
    }

    pub(crate) fn allows(self, role: Role) -> bool {
        match self {
            Self::NoOneAllowed => false,
            Self::Developer => role >= Role::Developer,
            Self::Maintainer => role >= Role::Maintainer,
            Self::Owner => role >= Role::Owner,
        }
    }
}

/// An unknown value of the setting.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("ci_pipeline_variables_minimum_override_role does not have a valid value")]
pub struct UnknownVariablesRole;

impl FromStr for VariablesRole {
    type Err = UnknownVariablesRole;

    fn from_str(text: &str) -> Result<Self, UnknownVariablesRole> {
        let all = [
            Self::NoOneAllowed,
            Self::Developer,
            Self::Maintainer,
            Self::Owner,
        ];
        let found = all.into_iter().find(|role| role.name() == text);
        found.ok_or(UnknownVariablesRole)
    }
}
