//! Records of executed stages, for assertions.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::process::Exit;

/// A subcommand of the executor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subcommand {
    /// Reports its configuration.
    Config,
    /// Prepares a job.
    Prepare,
    /// Runs the script of a stage.
    Run(String),
    /// Cleans up.
    Cleanup,
}

impl Subcommand {
    /// Returns `config`, `prepare`, the name of a stage, or `cleanup`.
    pub fn name(&self) -> &str {
        match self {
            Self::Config => "config",
            Self::Prepare => "prepare",
            Self::Run(stage) => stage,
            Self::Cleanup => "cleanup",
        }
    }
}

/// One run of the executor.
#[derive(Clone, Debug)]
pub struct Call {
    /// The job.
    pub job: u64,
    /// The subcommand.
    pub what: Subcommand,
    /// The start time.
    pub started: Instant,
    /// The duration; none while it runs.
    pub took: Option<Duration>,
    /// Its exit; none while it runs.
    pub exit: Option<Exit>,
}

/// The outcome of a job, from the runner's view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It succeeded.
    Success,
    /// It failed.
    Failed {
        /// The failure reason that GitLab received.
        reason: String,
        /// The script's exit code.
        exit_code: Option<i64>,
    },
    /// It was not started, because GitLab had cancelled it.
    Dropped,
}

#[derive(Debug, Default)]
struct Inner {
    calls: Vec<Call>,
    outcomes: Vec<(u64, Outcome)>,
}

/// The executed stages and the outcomes of jobs. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Journal {
    inner: Arc<Mutex<Inner>>,
    changes: watch::Sender<u64>,
}

impl Default for Journal {
    fn default() -> Self {
        Self {
            inner: Arc::default(),
            changes: watch::Sender::new(0),
        }
    }
}

impl Journal {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    /// Records the start of a call; returns its index.
    pub(crate) fn begin(&self, job: u64, what: Subcommand) -> usize {
        let place = {
            let mut inner = self.inner();
            inner.calls.push(Call {
                job,
                what,
                started: Instant::now(),
                took: None,
                exit: None,
            });
            inner.calls.len() - 1
        };
        self.changed();
        place
    }

    pub(crate) fn end(&self, place: usize, exit: Exit) {
        if let Some(call) = self.inner().calls.get_mut(place) {
            call.took = Some(call.started.elapsed());
            call.exit = Some(exit);
        }
        self.changed();
    }

    pub(crate) fn done(&self, job: u64, outcome: Outcome) {
        self.inner().outcomes.push((job, outcome));
        self.changed();
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.inner().calls.clone()
    }

    pub(crate) fn outcome(&self, job: u64) -> Option<Outcome> {
        let inner = self.inner();
        let mut newest = inner.outcomes.iter().rev();
        let found = newest.find(|(id, _)| *id == job);
        found.map(|(_, outcome)| outcome.clone())
    }

    /// Waits until a function returns a value.
    pub(crate) async fn until<T>(&self, find: impl Fn(&Self) -> Option<T>) -> T {
        let mut changes = self.changes.subscribe();
        loop {
            changes.borrow_and_update();
            if let Some(found) = find(self) {
                return found;
            }
            // The sender lives as long as this.
            let _ = changes.changed().await;
        }
    }
}
