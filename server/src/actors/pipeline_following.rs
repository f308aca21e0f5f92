//! Follows pipelines: at every tick all of them, and whenever a webhook came those of its project.

use std::time::Duration;

use buildbtw_gitlab::ProjectId;
use tokio::time::Instant;

use super::runner::{Actor, Cause, Next};
use crate::dispatch::pipelines::poll::{Poll, Polled};
use crate::outage::Failure;
use crate::state::AppState;
use crate::state::pipelines::Pipelines;

/// Polls because of webhooks, which come in bursts, are at least so far apart.
const GAP: Duration = Duration::from_millis(500);

/// See the module.
pub(crate) struct PipelineFollowing {
    poll: Poll,
    /// When all pipelines are polled. What happened while the server was away comes first.
    next_tick: Instant,
    /// Until when webhooks have to wait.
    quiet_until: Instant,
}

impl PipelineFollowing {
    pub(crate) fn new(state: AppState, on_gitlab: Pipelines) -> Self {
        Self {
            poll: Poll::new(state, on_gitlab),
            next_tick: Instant::now(),
            quiet_until: Instant::now(),
        }
    }
}

impl Actor for PipelineFollowing {
    const NAME: &'static str = "pipeline following";
    const TAKES_EVENTS_IN_OUTAGE: bool = false;
    type Event = ();

    async fn event(&mut self) {
        tokio::time::sleep_until(self.quiet_until).await;
        self.poll.on_gitlab.news.woken().await;
    }

    async fn turn(&mut self, cause: Cause<()>) -> Result<Next, Failure> {
        let is_tick = cause != Cause::Event(()) && self.next_tick <= Instant::now();
        let news: Vec<ProjectId> = self.poll.on_gitlab.news.take().into_iter().collect();
        let of = if is_tick { None } else { Some(news.as_slice()) };
        let polled = self.poll.poll(of).await;
        let urgent = self.poll.next_overdue().await;
        let now = Instant::now();
        if !is_tick {
            self.quiet_until = now + GAP;
        }
        match polled.and_then(|asked| Ok((asked, urgent?))) {
            Ok((asked, urgent)) => {
                if is_tick {
                    self.next_tick = now + self.poll.on_gitlab.settings.tick;
                }
                let urgent = urgent.map(|at| at.max(self.quiet_until));
                let next = Next::at(urgent.into_iter().fold(self.next_tick, Instant::min));
                let outage = self.poll.on_gitlab.following.current();
                let is_of_server = outage.is_some_and(|outage| outage.is_of_server);
                // Without pipelines GitLab is not asked.
                Ok(if asked == Polled::Gitlab || is_of_server {
                    next
                } else {
                    next.unproven()
                })
            }
            Err(failure) => {
                // After the rest all are polled.
                self.next_tick = now;
                Err(failure)
            }
        }
    }
}
