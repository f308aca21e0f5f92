//! A stand-in for gitlab-runner 19.x with the custom executor: what the executor of buildbtw is run
//! by in tests and demonstrations.
//!
//! It asks a GitLab, or the stand-in for one, for jobs, and runs an executable for each step of a
//! job just as the real runner does: the same arguments, environment, order, signals and meanings of
//! exit codes. [`FakeRunner::calls`] tells what was run.

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

pub use calls::{Call, Outcome, What};
pub use config::RunnerConfig;
pub use process::Exit;
pub use timestamps::plain_log;

use api::{Api, Requested};
use build::Build;
use calls::Journal;

/// A running stand-in. When it is dropped it dies as by [`FakeRunner::kill`].
pub struct FakeRunner {
    journal: Journal,
    /// No more jobs are asked for.
    drain: CancellationToken,
    /// Jobs are stopped.
    interrupt: CancellationToken,
    task: Mutex<Option<tokio::task::JoinHandle<()>>>,
    /// Where the helper is.
    _helper: Option<TempDir>,
}

/// How long a request is waited for that was under way when no more were to be sent.
const LAST_REQUEST: Duration = Duration::from_secs(1);
/// After so many refusals in a row no jobs are asked for for a while.
const MOST_REFUSALS: u32 = 3;

impl FakeRunner {
    /// Starts one, in tasks of the current tokio runtime.
    pub fn start(config: RunnerConfig) -> Result<Self> {
        let api = Api::new(&config).context("cannot make an HTTP client")?;
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

    /// What was run so far, in the order in which it was begun.
    pub fn calls(&self) -> Vec<Call> {
        self.journal.calls()
    }

    /// What was run for a job, as names: `config`, `prepare`, stages, `cleanup`.
    pub fn names(&self, job: u64) -> Vec<String> {
        let calls = self.journal.calls();
        let of_job = calls.iter().filter(|call| call.job == job);
        of_job.map(|call| call.what.name().to_owned()).collect()
    }

    /// Waits until something is run for a job: `config`, `prepare`, a stage, or `cleanup`.
    pub async fn wait_for_call(&self, job: u64, name: &str) -> Call {
        self.journal
            .until(|journal| {
                let mut calls = journal.calls().into_iter();
                calls.find(|call| call.job == job && call.what.name() == name)
            })
            .await
    }

    /// Waits until a job has ended and GitLab was told.
    pub async fn wait_for_job(&self, job: u64) -> Outcome {
        self.journal.until(|journal| journal.outcome(job)).await
    }

    /// Asks for no more jobs, and waits until those that run have ended: what SIGQUIT does.
    pub async fn finish(&self) {
        self.drain.cancel();
        self.join().await;
    }

    /// Stops jobs, and waits until that is done: what SIGTERM does.
    pub async fn stop(&self) {
        self.drain.cancel();
        self.interrupt.cancel();
        self.join().await;
    }

    async fn join(&self) {
        let task = self.take_task();
        if let Some(task) = task {
            // One that was killed has ended too.
            let _ = task.await;
        }
    }

    fn take_task(&self) -> Option<tokio::task::JoinHandle<()>> {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        task.take()
    }

    /// Dies: nothing is cleaned up and nobody is told. What it ran goes on running.
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

/// Scripts call the helper by the runner's name.
fn link_helper(program: &std::path::Path) -> Result<TempDir> {
    let folder = tempfile::Builder::new().prefix("fake-runner").tempdir()?;
    let program = fs_err::canonicalize(program)?;
    fs_err::os::unix::fs::symlink(&program, folder.path().join("gitlab-runner"))?;
    Ok(folder)
}

/// Asks for jobs.
struct Polling {
    config: Arc<RunnerConfig>,
    api: Api,
    journal: Journal,
    helper: Option<PathBuf>,
    drain: CancellationToken,
    interrupt: CancellationToken,
}

/// Which of the jobs that are done at once have which number.
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

    fn give_back(&self, slot: usize) {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(taken) = slots.get_mut(slot) {
            *taken = false;
        }
    }
}

impl Polling {
    async fn run(self) {
        // Jobs end with this task if it is killed.
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
                // A job that is on its way must not get lost; one that is waited for may come later.
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
                        slots.give_back(slot);
                        drop(permit);
                    });
                    continue;
                }
                Ok(Requested::Nothing) => refusals = 0,
                Ok(Requested::Refused) => refusals += 1,
                Err(error) => tracing::warn!(error, "no job could be got"),
            }
            drop(permit);
            let mut pause = self.config.poll_interval;
            if refusals >= MOST_REFUSALS {
                refusals = 0;
                pause = self.config.unhealthy_interval;
            }
            tokio::select! {
                () = self.drain.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Until this long after the runner was told to ask for no more.
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
