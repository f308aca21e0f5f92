//! GitLab's rate limit: no request is sent before the time that GitLab asked for.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use tokio::time::Instant;

use crate::error::GitlabErrorKind;
use crate::response::{header_text, rate_limit_reset};

/// The time until which requests wait.
#[derive(Default)]
pub(crate) struct RateLimit {
    /// No request is sent before.
    not_before: Mutex<Option<Instant>>,
}

impl RateLimit {
    /// Delays all requests for at least this long.
    pub(crate) fn pause(&self, pause: Duration) {
        let at = Instant::now() + pause;
        let mut not_before = self
            .not_before
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *not_before = Some(not_before.map_or(at, |known| known.max(at)));
    }

    /// Delays requests when the remaining quota is 0, before GitLab rejects one.
    pub(crate) fn note(&self, headers: &HeaderMap, date: Option<Timestamp>) {
        if header_text(headers, "ratelimit-remaining") == Some("0")
            && let Some(pause) = rate_limit_reset(headers, date)
        {
            self.pause(pause);
        }
    }

    /// Waits until a request may be sent.
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
