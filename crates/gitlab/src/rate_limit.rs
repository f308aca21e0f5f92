//! GitLab's rate limit: nothing is sent before the time that GitLab asked for.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use tokio::time::Instant;

use crate::answer::{rate_limit_reset, text};
use crate::error::GitlabErrorKind;

/// What GitLab has said about when to send again.
#[derive(Default)]
pub(crate) struct RateLimit {
    /// Nothing is sent before.
    not_before: Mutex<Option<Instant>>,
}

impl RateLimit {
    /// Sends nothing for so long.
    pub(crate) fn pause(&self, pause: Duration) {
        let at = Instant::now() + pause;
        let mut not_before = self
            .not_before
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *not_before = Some(not_before.map_or(at, |known| known.max(at)));
    }

    /// When nothing is left of what GitLab allows, waits before GitLab has to say so.
    pub(crate) fn note(&self, headers: &HeaderMap, date: Option<Timestamp>) {
        if text(headers, "ratelimit-remaining") == Some("0")
            && let Some(pause) = rate_limit_reset(headers, date)
        {
            self.pause(pause);
        }
    }

    /// Waits until something may be sent.
    ///
    /// # Errors
    /// When that is not before the deadline.
    pub(crate) async fn wait(&self, deadline: Instant) -> Result<(), GitlabErrorKind> {
        let until = *self
            .not_before
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match until {
            Some(until) if until >= deadline => Err(GitlabErrorKind::Paused {
                status: StatusCode::TOO_MANY_REQUESTS.as_u16(),
                pause: Some(until.saturating_duration_since(Instant::now())),
            }),
            Some(until) => {
                tokio::time::sleep_until(until).await;
                Ok(())
            }
            None => Ok(()),
        }
    }
}
