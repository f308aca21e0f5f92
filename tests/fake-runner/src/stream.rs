//! Sends a job's log to GitLab while it runs, follows the job's status there, and reports its end.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::api::{Api, Directive, FinalState, Instructions, Patched, Updated};
use crate::config::RunnerConfig;
use crate::job::Job;
use crate::trace::Trace;
use crate::variables::Variables;

/// The maximum size of a chunk.
const MAX_PIECE: usize = 1024 * 1024;
/// The interval unless GitLab sets another.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(3);
/// The number of attempts to report an end that GitLab rejects.
const FINAL_ATTEMPTS: usize = 10;

/// Why a job is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// A user cancelled it: the script stops, and `after_script` runs.
    Cancelled,
    /// GitLab aborted it.
    Aborted,
    /// It took too long.
    TimedOut,
    /// The runner stops.
    Interrupted,
}

/// Stops a job. Clones share the job.
#[derive(Clone, Debug)]
pub(crate) struct StopSignal {
    /// Stops the user's script.
    pub(crate) script: CancellationToken,
    /// Stops everything.
    pub(crate) job: CancellationToken,
    state: Arc<Mutex<State>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    reason: Option<Reason>,
    /// Before its script starts, a cancelled job is aborted.
    script_began: bool,
}

impl StopSignal {
    pub(crate) fn new() -> Self {
        let job = CancellationToken::new();
        Self {
            script: job.child_token(),
            job,
            state: Arc::default(),
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn reason(&self) -> Option<Reason> {
        self.state().reason
    }

    pub(crate) fn script_begins(&self) {
        self.state().script_began = true;
    }

    /// Records a reason. The first one counts, except that an abort overrides a cancellation.
    pub(crate) fn stop(&self, reason: Reason) {
        let mut state = self.state();
        match state.reason {
            None => state.reason = Some(reason),
            Some(Reason::Cancelled) if reason != Reason::Cancelled => state.reason = Some(reason),
            Some(_) => {}
        }
        match reason {
            Reason::Cancelled if state.script_began => self.script.cancel(),
            _ => self.job.cancel(),
        }
    }

    fn apply(&self, directive: Directive) {
        match directive {
            Directive::Continue => {}
            Directive::Cancel => self.stop(Reason::Cancelled),
            Directive::Abort => self.stop(Reason::Aborted),
        }
    }
}

/// Sends the log of one job.
pub(crate) struct Stream<'a> {
    pub(crate) api: &'a Api,
    pub(crate) config: &'a RunnerConfig,
    pub(crate) job: &'a Job,
    pub(crate) trace: &'a Trace,
    pub(crate) stops: &'a StopSignal,
    /// The size of the log at GitLab.
    sent: usize,
    interval: Duration,
    last: Instant,
    /// Whether access to the log is restricted.
    is_debugged: bool,
}

impl<'a> Stream<'a> {
    pub(crate) fn new(
        api: &'a Api,
        config: &'a RunnerConfig,
        job: &'a Job,
        trace: &'a Trace,
        stops: &'a StopSignal,
    ) -> Self {
        Self {
            api,
            config,
            job,
            trace,
            stops,
            sent: 0,
            interval: config.trace_interval.unwrap_or(DEFAULT_INTERVAL),
            last: Instant::now(),
            is_debugged: Variables::new(config, job, None, 0).are_debugged(),
        }
    }

    fn apply(&mut self, instructions: Instructions) {
        if let (None, Some(interval)) = (self.config.trace_interval, instructions.interval) {
            self.interval = interval;
        }
        self.stops.apply(instructions.directive);
    }

    /// Sends the log as long as the job runs.
    pub(crate) async fn run(&mut self, finished: &CancellationToken) {
        loop {
            tokio::select! {
                () = finished.cancelled() => return,
                () = tokio::time::sleep(self.interval) => {}
            }
            if self.trace.size() > self.sent {
                self.send_piece().await;
            } else if self.last.elapsed() > self.config.keepalive {
                let (updated, instructions) = self.api.running(self.job).await;
                self.last = Instant::now();
                self.apply(instructions);
                if updated == Updated::Gone {
                    self.stops.stop(Reason::Aborted);
                }
            }
        }
    }

    /// Sends the next chunk. Returns whether that succeeded.
    async fn send_piece(&mut self) -> bool {
        let piece = self.trace.piece(self.sent, MAX_PIECE);
        if piece.is_empty() {
            return true;
        }
        let (patched, instructions) = {
            let is_debugged = self.is_debugged;
            let patched = self.api.patch(self.job, self.sent, piece, is_debugged);
            patched.await
        };
        self.last = Instant::now();
        self.apply(instructions);
        match patched {
            Patched::Done(stored) | Patched::OffsetMismatch(stored) => {
                self.sent = stored.min(self.trace.size());
                true
            }
            Patched::Failed => false,
        }
    }

    /// Sends the rest and then the final state, until GitLab accepts it.
    pub(crate) async fn finish(&mut self, mut end: FinalState) {
        self.trace.flush();
        let mut pauses = ExponentialBuilder::new()
            .with_min_delay(self.config.retry_pause)
            .without_max_delay()
            .with_max_times(FINAL_ATTEMPTS - 1)
            .build();
        loop {
            let sent = self.send_rest().await;
            end.checksum = self.trace.checksum();
            end.size = self.trace.size();
            let updated = match sent {
                true => self.api.finish(self.job, &end).await.0,
                false => Updated::Failed,
            };
            match updated {
                Updated::Done | Updated::Gone => return,
                Updated::Repeat => tokio::time::sleep(self.interval).await,
                Updated::ResendLog => self.sent = 0,
                Updated::Failed => {
                    let is_aborted = self.stops.reason() == Some(Reason::Aborted);
                    let Some(pause) = pauses.next().filter(|_| !is_aborted) else {
                        tracing::warn!(
                            job = self.job.id,
                            "cannot report the end of the job to GitLab"
                        );
                        return;
                    };
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }

    async fn send_rest(&mut self) -> bool {
        while self.sent < self.trace.size() {
            if !self.send_piece().await {
                return false;
            }
        }
        true
    }
}
