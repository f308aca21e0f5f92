//! Adding and removing webhooks.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use rand::RngExt as _;
use uuid::Uuid;

use crate::state::State;
use crate::state::hooks::{Hook, HookId, HookOptions, HookScope, Owner};
use crate::state::projects::Project;
use crate::{FakeGitlab, lock};

impl FakeGitlab {
    /// Adds a hook.
    pub fn add_hook(&self, scope: HookScope, options: HookOptions) -> Result<HookId> {
        let owner = match scope {
            HookScope::System => Owner::System,
            HookScope::Group(path) => {
                let group = self.state().group_at(&path);
                Owner::Group(
                    group
                        .with_context(|| format!("group `{path}` does not exist"))?
                        .id,
                )
            }
            HookScope::Project(path) => {
                let project = self.state().project_at(&path);
                Owner::Project(
                    project
                        .with_context(|| format!("project `{path}` does not exist"))?
                        .id
                        .0,
                )
            }
        };
        self.insert_hook(owner, options)
    }

    /// Removes a hook.
    pub fn remove_hook(&self, hook: HookId) -> Result<()> {
        let removed = self.state().hooks.remove(&hook.0);
        removed.map(drop).context("the hook does not exist")
    }

    pub(crate) fn insert_hook(&self, owner: Owner, options: HookOptions) -> Result<HookId> {
        ensure!(
            options.url.starts_with("http://") || options.url.starts_with("https://"),
            "Invalid url given"
        );
        if let Some(token) = &options.signing_token {
            crate::webhooks::signature::key(token)?;
        }
        let uuid: u128 = lock(&self.shared.random).random();
        let mut state = self.state();
        let id = HookId(state.next_id());
        let hook = Hook {
            id,
            uuid: uuid::Builder::from_random_bytes(uuid.to_be_bytes()).into_uuid(),
            owner,
            options,
        };
        state.hooks.insert(id.0, Arc::new(hook));
        Ok(id)
    }

    /// Returns the hooks that receive an event of a project.
    pub(crate) fn hooks_of(
        &self,
        project: &Project,
        wants: impl Fn(&HookOptions) -> bool,
    ) -> Vec<Arc<Hook>> {
        hooks_of(&self.state(), project, wants)
    }

    pub(crate) fn hooks_owned_by(&self, owner: Owner) -> Vec<Arc<Hook>> {
        let state = self.state();
        let hooks = state.hooks.values();
        hooks.filter(|hook| hook.owner == owner).cloned().collect()
    }
}

/// Returns the hooks that receive an event of a project.
pub(crate) fn hooks_of(
    state: &State,
    project: &Project,
    wants: impl Fn(&HookOptions) -> bool,
) -> Vec<Arc<Hook>> {
    let is_of = |owner| match owner {
        Owner::System => true,
        Owner::Project(id) => id == project.id.0,
        Owner::Group(id) => state
            .groups
            .get(&id)
            .is_some_and(|group| project.below(&group.full_path).is_some()),
    };
    let hooks = state.hooks.values();
    hooks
        .filter(|hook| is_of(hook.owner) && wants(&hook.options))
        .cloned()
        .collect()
}

/// Returns a unique event id.
pub(crate) fn new_uuid() -> Uuid {
    Uuid::now_v7()
}
