//! Runners, as a test configures them.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::FakeGitlab;
use crate::ci::payload::payload;
use crate::ci::queue::RunnerCapabilities;
use crate::state::runners::{Runner, RunnerId, RunnerManager, RunnerOptions};

impl FakeGitlab {
    /// Creates a runner and returns its token.
    pub fn create_runner(&self, tags: &[&str]) -> String {
        let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
        self.create_runner_with(RunnerOptions {
            tags,
            ..RunnerOptions::default()
        })
    }

    /// Creates a runner with options and returns its token.
    pub fn create_runner_with(&self, options: RunnerOptions) -> String {
        let token = self.secret("glrt-");
        let mut change = self.change();
        let id = RunnerId(change.state.next_id());
        let runner = Runner {
            id,
            token: token.clone(),
            options,
            paused: false,
            managers: BTreeMap::new(),
        };
        change.state.runners.insert(id.0, Arc::new(runner));
        change.wake_runners();
        token
    }

    /// Pauses or resumes a runner.
    pub fn pause_runner(&self, token: &str, paused: bool) -> Result<()> {
        let mut change = self.change();
        let mut runners = change.state.runners.values_mut();
        let runner = runners.find(|runner| runner.token == token);
        Arc::make_mut(runner.context("the runner does not exist")?).paused = paused;
        change.wake_runners();
        Ok(())
    }

    /// Returns the processes of a runner that have contacted the stand-in.
    pub fn runner_managers(&self, token: &str) -> Vec<RunnerManager> {
        let state = self.state();
        let mut runners = state.runners.values();
        let runner = runners.find(|runner| runner.token == token);
        runner.map_or(Vec::new(), |runner| {
            runner.managers.values().cloned().collect()
        })
    }

    /// Records a contact of a runner, as if it had requested a job and there was none.
    pub fn contact_runner(&self, token: &str) -> Result<()> {
        let contacted_at = self.clock().now();
        let mut change = self.change();
        let mut runners = change.state.runners.values_mut();
        let runner = runners.find(|runner| runner.token == token);
        let system_id = "r_contacted000".to_owned();
        let manager = RunnerManager {
            system_id: system_id.clone(),
            info: Value::Null,
            contacted_at,
        };
        let runner = Arc::make_mut(runner.context("the runner does not exist")?);
        runner.managers.insert(system_id, manager);
        Ok(())
    }

    /// Assigns a job to a runner as if it had requested one, and returns the response.
    pub fn assign_job(&self, token: &str) -> Result<Option<Value>> {
        let mut change = self.change();
        let found = change.state.runners.values().find(|one| one.token == token);
        let runner = found.cloned().context("the runner does not exist")?;
        let abilities = RunnerCapabilities {
            acknowledges: true,
            cancels_gracefully: true,
        };
        let Some(job) = change.take(&runner, "r_assigned0000", abilities)? else {
            return Ok(None);
        };
        Ok(Some(payload(self, &change.state, &job)?))
    }
}
