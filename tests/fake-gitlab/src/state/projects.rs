//! Groups and projects.

use std::collections::BTreeMap;
use std::fmt;

use jiff::{SignedDuration, Timestamp};

use super::roles::{Role, VariablesRole};
use crate::repository::Storage;

/// The id of a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProjectId(pub u64);

impl fmt::Display for ProjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A group.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) id: u64,
    pub(crate) full_path: String,
}

impl Group {
    pub(crate) fn path(&self) -> &str {
        last_segment(&self.full_path)
    }
}

/// The minimum interval between updates of `last_activity_at` by pushes.
const ACTIVITY_EVERY: SignedDuration = SignedDuration::from_hours(1);
/// The minimum interval between updates of `last_repository_updated_at` by pushes.
const REPOSITORY_UPDATE_EVERY: SignedDuration = SignedDuration::from_mins(5);

/// A project.
#[derive(Clone, Debug)]
pub(crate) struct Project {
    pub(crate) id: ProjectId,
    pub(crate) full_path: String,
    pub(crate) description: Option<String>,
    pub(crate) default_branch: String,
    pub(crate) storage: Storage,
    pub(crate) public: bool,
    pub(crate) archived: bool,
    pub(crate) marked_for_deletion: Option<Timestamp>,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    pub(crate) last_activity_at: Timestamp,
    pub(crate) last_repository_updated_at: Timestamp,
    pub(crate) last_merge_request: u64,
    pub(crate) last_pipeline: u64,
    /// Unresolved, as it was set.
    pub(crate) ci_config_path: Option<String>,
    pub(crate) variables_role: VariablesRole,
    /// The default timeout of jobs, in seconds.
    pub(crate) build_timeout: i64,
    /// Explicitly protected (`true`) and unprotected branches and tags. By default, only the default branch is
    /// protected.
    pub(crate) protected: BTreeMap<String, bool>,
    /// The role of all users.
    pub(crate) role: Role,
}

/// The default path of the CI configuration.
pub(crate) const CI_CONFIG_PATH: &str = ".gitlab-ci.yml";
/// The default timeout of jobs, in seconds.
const BUILD_TIMEOUT: i64 = 3_600;

impl Project {
    pub(crate) fn new(id: u64, full_path: String, storage: Storage, now: Timestamp) -> Self {
        Self {
            id: ProjectId(id),
            full_path,
            description: None,
            default_branch: crate::repository::DEFAULT_BRANCH.to_owned(),
            storage,
            public: false,
            archived: false,
            marked_for_deletion: None,
            created_at: now,
            updated_at: now,
            last_activity_at: now,
            last_repository_updated_at: now,
            last_merge_request: 0,
            last_pipeline: 0,
            ci_config_path: None,
            variables_role: VariablesRole::default(),
            build_timeout: BUILD_TIMEOUT,
            protected: BTreeMap::new(),
            role: Role::Maintainer,
        }
    }

    pub(crate) fn ci_config_path_or_default(&self) -> &str {
        self.ci_config_path.as_deref().unwrap_or(CI_CONFIG_PATH)
    }

    /// Returns whether a branch or tag is protected.
    pub(crate) fn is_protected(&self, name: &str) -> bool {
        let explicit = self.protected.get(name).copied();
        explicit.unwrap_or(name == self.default_branch)
    }

    pub(crate) fn path(&self) -> &str {
        last_segment(&self.full_path)
    }

    pub(crate) fn namespace(&self) -> &str {
        self.full_path
            .rsplit_once('/')
            .map_or("", |(namespace, _)| namespace)
    }

    pub(crate) fn visibility(&self) -> &'static str {
        if self.public { "public" } else { "private" }
    }

    /// Returns its path relative to a group that contains it, directly or in a subgroup.
    pub(crate) fn below(&self, group: &str) -> Option<&str> {
        let (start, rest) = self.full_path.split_at_checked(group.len())?;
        let rest = rest.strip_prefix('/')?;
        start.eq_ignore_ascii_case(group).then_some(rest)
    }

    /// Updates the timestamps after a push. They are throttled: a push soon after another one changes none of them.
    pub(crate) fn record_push(&mut self, at: Timestamp) {
        if at.duration_since(self.last_activity_at) >= ACTIVITY_EVERY {
            self.last_activity_at = at;
            self.updated_at = at;
        }
        if at.duration_since(self.last_repository_updated_at) >= REPOSITORY_UPDATE_EVERY {
            self.last_repository_updated_at = at;
            self.updated_at = at;
        }
    }
}

fn last_segment(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn push_updates_only_old_timestamps() {
        let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let mut project = Project::new(1, "a/b".into(), Storage::Nothing, start);
        let after = |minutes| start + SignedDuration::from_mins(minutes);
        for (push, activity, repository, updated) in [
            (4, 0, 0, 0),
            (5, 0, 5, 5),
            (9, 0, 5, 5),
            (59, 0, 59, 59),
            (60, 60, 59, 60),
            (119, 60, 119, 119),
        ] {
            project.record_push(after(push));
            assert_eq!(project.last_activity_at, after(activity), "{push}");
            assert_eq!(
                project.last_repository_updated_at,
                after(repository),
                "{push}"
            );
            assert_eq!(project.updated_at, after(updated), "{push}");
        }
    }

    #[test]
    fn derives_path_below_group() {
        let project = Project::new(1, "a/b/c".into(), Storage::Nothing, Timestamp::UNIX_EPOCH);
        assert_eq!(project.below("A"), Some("b/c"));
        assert_eq!(project.below("a/b"), Some("c"));
        assert_eq!(project.below("a/b/c"), None);
        assert_eq!(project.below("a/"), None);
    }
}
