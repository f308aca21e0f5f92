//! A stand-in for gitlab-runner 19.x with the custom executor, which runs buildbtw's executor in tests and the demo.
//!
//! It requests jobs from GitLab or the stand-in for it, and runs an executable for each stage of a job exactly as
//! the real runner does: with the same arguments, environment, order, signals and interpretation of exit codes.
//! [`FakeRunner::calls`] returns what was run.

mod api;
mod attempt;
mod build;
mod calls;
mod config;
pub mod helper;
mod job;
mod mask;
mod process;
mod script;
mod stages;
mod stream;
mod timestamps;
mod trace;
mod variables;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tempfile::TempDir;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use calls::{Call, Outcome, Subcommand};
pub use config::RunnerConfig;
pub use process::Exit;
pub use timestamps::plain_log;

use api::{Api, Requested};
use build::Build;
use calls::Journal;

/// A running stand-in. Dropping it has the effect of [`FakeRunner::kill`].
pub struct FakeRunner {
    journal: Journal,
    /// Cancelled when no more jobs are to be requested.
    drain: CancellationToken,
    /// Cancelled when jobs are to be stopped.
    interrupt: CancellationToken,
    task: Mutex<Option<tokio::task::JoinHandle<()>>>,
    /// The folder of the helper.
    _helper: Option<TempDir>,
}

/// How long to wait for a pending request after the last one was to be sent.
const LAST_REQUEST: Duration = Duration::from_secs(1);
/// After so many consecutive rejections, requests are paused.
const MAX_REFUSALS: u32 = 3;

impl FakeRunner {
    /// Starts a stand-in in tasks of the current tokio runtime.
    pub fn start(config: RunnerConfig) -> Result<Self> {
        let api = Api::new(&config).context("cannot create an HTTP client")?;
        let helper = config.helper.as_ref().map(|program| link_helper(program));
        let helper = helper.transpose()?;
        let journal = Journal::default();
        let drain = CancellationToken::new();
        let interrupt = CancellationToken::new();
        let polling = Polling {
            config: Arc::new(config),
            api,
            journal: journal.clone(),
            helper: helper.as_ref().map(|folder| folder.path().to_owned()),
            drain: drain.clone(),
            interrupt: interrupt.clone(),
        };
        Ok(Self {
            journal,
            drain,
            interrupt,
            task: Mutex::new(Some(tokio::spawn(polling.run()))),
            _helper: helper,
        })
    }

    /// Returns the executed stages so far, in the order of their start.
    pub fn calls(&self) -> Vec<Call> {
        self.journal.calls()
    }

    /// Returns the names of the executed stages of a job: `config`, `prepare`, stages, `cleanup`.
    pub fn names(&self, job: u64) -> Vec<String> {
        let calls = self.journal.calls();
        let of_job = calls.iter().filter(|call| call.job == job);
        of_job.map(|call| call.what.name().to_owned()).collect()
    }

    /// Waits until a job has ended and GitLab has received the result.
    pub async fn wait_for_job(&self, job: u64) -> Outcome {
        self.journal.until(|journal| journal.outcome(job)).await
    }

    /// Requests no more jobs, and waits for the running ones, like the real runner after SIGQUIT.
    pub async fn finish(&self) {
        self.drain.cancel();
        self.join().await;
    }

    /// Stops running jobs, and waits for their end, like the real runner after SIGTERM.
    pub async fn stop(&self) {
        self.drain.cancel();
        self.interrupt.cancel();
        self.join().await;
    }

    async fn join(&self) {
        let task = self.take_task();
        if let Some(task) = task {
            // A killed task has ended, too.
            let _ = task.await;
        }
    }

    fn take_task(&self) -> Option<tokio::task::JoinHandle<()>> {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        task.take()
    }

    /// Dies without cleaning up or notifying GitLab. Its child processes keep running.
    pub fn kill(&self) {
        if let Some(task) = self.take_task() {
            task.abort();
        }
    }
}

impl Drop for FakeRunner {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Links the helper under the runner's name, by which scripts call it.
fn link_helper(program: &std::path::Path) -> Result<TempDir> {
    let folder = tempfile::Builder::new().prefix("fake-runner").tempdir()?;
    let program = fs_err::canonicalize(program)?;
    fs_err::os::unix::fs::symlink(&program, folder.path().join("gitlab-runner"))?;
    Ok(folder)
}

/// The task that requests jobs.
struct Polling {
    config: Arc<RunnerConfig>,
    api: Api,
    journal: Journal,
    helper: Option<PathBuf>,
    drain: CancellationToken,
    interrupt: CancellationToken,
}

/// Allocates numbers to the concurrent jobs.
#[derive(Debug, Default)]
struct Slots(Mutex<Vec<bool>>);

impl Slots {
    fn take(&self) -> usize {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let free = slots.iter().position(|taken| !taken);
        let slot = free.unwrap_or(slots.len());
        if free.is_none() {
            slots.push(true);
        } else {
            slots[slot] = true;
        }
        slot
    }

    fn release_slot(&self, slot: usize) {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(taken) = slots.get_mut(slot) {
            *taken = false;
        }
    }
}

impl Polling {
    async fn run(self) {
        // Jobs are killed with this task.
        let mut jobs = JoinSet::new();
        self.poll(&mut jobs).await;
        while jobs.join_next().await.is_some() {}
    }

    async fn poll(&self, jobs: &mut JoinSet<()>) {
        let free = Arc::new(Semaphore::new(self.config.concurrent.max(1)));
        let slots = Arc::new(Slots::default());
        let mut last_update = None;
        let mut refusals = 0;
        loop {
            let permit = tokio::select! {
                () = self.drain.cancelled() => return,
                permit = Arc::clone(&free).acquire_owned() => permit,
            };
            let Ok(permit) = permit else { return };
            while jobs.try_join_next().is_some() {}
            let requested = tokio::select! {
                requested = self.api.request(&mut last_update) => requested,
                // A job in a pending response must not get lost; one that GitLab has yet to create can wait.
                () = self.drained_for(LAST_REQUEST) => return,
            };
            match requested {
                Ok(Requested::Job(job)) => {
                    refusals = 0;
                    let slots = Arc::clone(&slots);
                    let slot = slots.take();
                    let build = self.build(*job, slot);
                    jobs.spawn(async move {
                        build.run().await;
                        slots.release_slot(slot);
                        drop(permit);
                    });
                    continue;
                }
                Ok(Requested::Nothing) => refusals = 0,
                Ok(Requested::Refused) => refusals += 1,
                Err(error) => tracing::warn!(error, "cannot request a job"),
            }
            drop(permit);
            let mut pause = self.config.poll_interval;
            if refusals >= MAX_REFUSALS {
                refusals = 0;
                pause = self.config.unhealthy_interval;
            }
            tokio::select! {
                () = self.drain.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Waits until this long after the runner was told to request no more jobs.
    async fn drained_for(&self, time: Duration) {
        self.drain.cancelled().await;
        tokio::time::sleep(time).await;
    }

    fn build(&self, job: job::Job, slot: usize) -> Build {
        Build {
            config: Arc::clone(&self.config),
            api: self.api.clone(),
            job,
            journal: self.journal.clone(),
            helper: self.helper.clone(),
            slot,
            interrupt: self.interrupt.clone(),
        }
    }
}
