//! CI settings and faults of the stand-in.

use std::time::Duration;

use jiff::SignedDuration;

use crate::{FakeGitlab, lock};

/// CI settings and faults.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// How long a runner's request for a job waits for one.
    pub(crate) long_poll: Duration,
    /// How long a runner may take to confirm a job.
    pub(crate) acknowledge_within: SignedDuration,
    /// How long a runner may be silent about its job.
    pub(crate) silence: SignedDuration,
    /// `X-GitLab-Trace-Update-Interval`, in seconds.
    pub(crate) trace_update_interval: u64,
    /// How many final updates of jobs still get a 202.
    pub(crate) held_updates: u32,
    /// How many commit statuses will still find the lock taken.
    pub(crate) contended_statuses: u32,
    pub(crate) too_many_pipelines: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            long_poll: Duration::ZERO,
            acknowledge_within: SignedDuration::from_secs(60),
            silence: SignedDuration::from_hours(1),
            trace_update_interval: 3,
            held_updates: 0,
            contended_statuses: 0,
            too_many_pipelines: false,
        }
    }
}

impl FakeGitlab {
    /// Sets how long a runner's request for a job waits for one. Initially it does not wait.
    pub fn set_long_poll(&self, long_poll: Duration) {
        lock(&self.shared.ci).long_poll = long_poll;
    }

    /// Sets how long a runner may take to confirm a job; after that the job is pending again.
    pub fn set_acknowledge_within(&self, limit: SignedDuration) {
        lock(&self.shared.ci).acknowledge_within = limit;
    }

    /// Sets how long a runner may be silent about its job; after that the job fails.
    pub fn set_silence_limit(&self, limit: SignedDuration) {
        lock(&self.shared.ci).silence = limit;
    }

    /// Sets how often runners are told to send updates, in seconds.
    pub fn set_trace_update_interval(&self, seconds: u64) {
        lock(&self.shared.ci).trace_update_interval = seconds;
    }

    /// Responds to the next `count` final updates of jobs with 202, so that runners repeat them.
    pub fn hold_final_updates(&self, count: u32) {
        lock(&self.shared.ci).held_updates = count;
    }

    /// Makes the next `count` commit statuses find the lock of their commit taken.
    pub fn lock_commit_statuses(&self, count: u32) {
        lock(&self.shared.ci).contended_statuses = count;
    }

    /// Sets whether new pipelines are rejected because too many were created in the last minute.
    pub fn set_too_many_pipelines(&self, too_many: bool) {
        lock(&self.shared.ci).too_many_pipelines = too_many;
    }

    pub(crate) fn ci_settings(&self) -> Settings {
        lock(&self.shared.ci).clone()
    }

    /// Decrements a count, and returns whether it was above zero.
    pub(crate) fn decrement(&self, count: impl FnOnce(&mut Settings) -> &mut u32) -> bool {
        let mut settings = lock(&self.shared.ci);
        let count = count(&mut settings);
        let is_left = *count > 0;
        *count = count.saturating_sub(1);
        is_left
    }
}
