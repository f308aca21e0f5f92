//! What users may do in projects.

use std::str::FromStr;

/// What a user may do in a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Next to nothing.
    Guest,
    /// Reads.
    Reporter,
    /// Pushes and runs pipelines, unless a branch is protected.
    Developer,
    /// Changes settings.
    Maintainer,
    /// Everything.
    Owner,
}

impl Role {
    /// As GitLab writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Guest => "guest",
            Self::Reporter => "reporter",
            Self::Developer => "developer",
            Self::Maintainer => "maintainer",
            Self::Owner => "owner",
        }
    }
}

/// Who may give pipelines variables: `ci_pipeline_variables_minimum_override_role`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VariablesRole {
    /// Nobody.
    NoOneAllowed,
    /// Developers and above.
    Developer,
    /// Maintainers and above: what a self-managed server begins with.
    #[default]
    Maintainer,
    /// Owners.
    Owner,
}

impl VariablesRole {
    /// As GitLab writes it.
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

/// A text that is no role for variables.
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
