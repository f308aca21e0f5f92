//! Timeouts of jobs whose runner is silent.

use std::time::Duration;

use anyhow::Result;
use jiff::SignedDuration;

use super::change::Change;
use super::payload::timeout_of;
use crate::FakeGitlab;
use crate::state::jobs::{Assigned, Job, JobId};
use crate::state::status::Status;

/// A runner ends an overdue job itself, and gets this long to report that.
const GRACE: SignedDuration = SignedDuration::from_mins(1);

/// The interval between checks.
const EVERY: Duration = Duration::from_millis(200);

/// Checks timeouts until the stand-in stops.
pub(crate) async fn watch(gitlab: FakeGitlab) {
    let cancel = gitlab.shared.cancel.clone();
    let check = async {
        loop {
            tokio::time::sleep(EVERY).await;
            if let Err(error) = gitlab.check_timeouts() {
                tracing::warn!(
                    error = format!("{error:#}"),
                    "cannot check the timeouts of jobs"
                );
            }
        }
    };
    tokio::select! {
        () = cancel.cancelled() => {}
        () = check => {}
    }
}

/// What to do about an overdue job.
enum Overdue {
    Requeue,
    Fail(&'static str),
}

impl FakeGitlab {
    /// Checks timeouts by the stand-in's clock. That happens several times a second anyway; a test that has advanced
    /// the clock need not wait for it.
    pub fn check_timeouts(&self) -> Result<()> {
        let settings = self.ci_settings();
        let mut change = self.change();
        let taken: Vec<u64> = change.state.taken.iter().copied().collect();
        for id in taken {
            let job = change.job(JobId(id))?;
            let Some(assigned) = &job.assigned else {
                continue;
            };
            let since = |time: jiff::Timestamp| change.now.duration_since(time);
            let late = if !assigned.acknowledged {
                (since(assigned.at) > settings.acknowledge_within).then_some(Overdue::Requeue)
            } else if since(assigned.contacted_at) > settings.silence {
                Some(Overdue::Fail("stuck_or_timeout_failure"))
            } else {
                is_over(&change, &job, assigned).then_some(Overdue::Fail("job_execution_timeout"))
            };
            match late {
                None => {}
                Some(Overdue::Requeue) => {
                    change.set_job(job.id, |job| job.assigned = None)?;
                }
                Some(Overdue::Fail(reason)) => {
                    change.finish(job.id, Status::Failed, Some(reason), None)?;
                }
            }
        }
        Ok(())
    }
}

fn is_over(change: &Change<'_>, job: &Job, assigned: &Assigned) -> bool {
    let timeout = SignedDuration::from_secs(timeout_of(&change.state, job, Some(assigned.runner)));
    let started = job.started_at.unwrap_or(assigned.at);
    change.now.duration_since(started) > timeout + GRACE
}
