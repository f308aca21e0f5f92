//! Follows pipelines: polls all of them at every tick, and those of a project after a webhook.

use std::time::Duration;

use buildbtw_gitlab::ProjectId;
use buildbtw_model::BackgroundTask;
use tokio::time::Instant;

use super::runner::{Actor, Cause, Next};
use crate::dispatch::pipelines::poll::{Poll, Polled};
use crate::outage::Failure;
use crate::state::AppState;
use crate::state::pipelines::Pipelines;
use crate::time::Jumps;

/// The minimum time between polls that webhooks cause, which come in bursts.
const MIN_WEBHOOK_POLL_INTERVAL: Duration = Duration::from_millis(500);

/// The actor that follows pipelines.
pub(crate) struct PipelineFollowing {
    state: AppState,
    poll: Poll,
    /// When all pipelines are polled next. The first poll finds what happened while the server was down.
    next_tick: Instant,
    /// When webhooks may cause a poll again.
    next_webhook_poll: Instant,
    jumps: Jumps,
}

impl PipelineFollowing {
    pub(crate) fn new(state: AppState, on_gitlab: Pipelines) -> Self {
        Self {
            jumps: state.clock.jumps(),
            state,
            poll: Poll::new(on_gitlab),
            next_tick: Instant::now(),
            next_webhook_poll: Instant::now(),
        }
    }
}

impl Actor for PipelineFollowing {
    const TASK: BackgroundTask = BackgroundTask::PipelineFollowing;
    const TAKES_EVENTS_IN_OUTAGE: bool = false;
    type Event = ();

    async fn event(&mut self) {
        tokio::time::sleep_until(self.next_webhook_poll).await;
        tokio::select! {
            () = self.poll.on_gitlab.news.woken() => {}
            () = self.jumps.next() => {}
        }
    }

    async fn turn(&mut self, cause: Cause<()>) -> Result<Next, Failure> {
        let is_tick = cause != Cause::Event(()) && self.next_tick <= Instant::now();
        let news: Vec<ProjectId> = self.poll.on_gitlab.news.take().into_iter().collect();
        let of = if is_tick { None } else { Some(news.as_slice()) };
        let parts = self.state.attempt_parts();
        let polled = self.poll.poll(parts, of).await;
        let urgent = self.poll.next_overdue(parts).await;
        let now = Instant::now();
        if !is_tick {
            self.next_webhook_poll = now + MIN_WEBHOOK_POLL_INTERVAL;
        }
        match polled.and_then(|asked| Ok((asked, urgent?))) {
            Ok((asked, urgent)) => {
                if is_tick {
                    self.next_tick = now + self.poll.on_gitlab.settings.tick;
                }
                let urgent = urgent.map(|at| at.max(self.next_webhook_poll));
                let next = Next::at(urgent.into_iter().fold(self.next_tick, Instant::min));
                let outage = self.poll.on_gitlab.following.current();
                let is_internal = outage.is_some_and(|outage| outage.is_internal);
                // Without pipelines to poll, GitLab was not contacted, which proves nothing.
                Ok(if asked == Polled::Gitlab || is_internal {
                    next
                } else {
                    next.keep_outage()
                })
            }
            Err(failure) => {
                // Poll all of them after the backoff.
                self.next_tick = now;
                Err(failure)
            }
        }
    }
}
