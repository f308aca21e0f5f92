//! Why nothing moves at GitLab, for people, and how long to leave it alone.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use buildbtw_gitlab::GitlabError;

const FIRST_REST: Duration = Duration::from_secs(2);
const LONGEST_REST: Duration = Duration::from_secs(60);

/// What is wrong at the moment, if anything.
#[derive(Debug)]
pub(super) struct Trouble {
    /// What to say when it begins.
    title: &'static str,
    current: Mutex<Option<Current>>,
}

#[derive(Debug)]
struct Current {
    text: String,
    failures: u32,
}

impl Trouble {
    pub(super) fn new(title: &'static str) -> Self {
        Self {
            title,
            current: Mutex::default(),
        }
    }

    /// What is wrong, in words.
    pub(super) fn text(&self) -> Option<String> {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.as_ref().map(|current| current.text.clone())
    }

    /// Notes a failure, and returns how long to wait before the next request.
    pub(super) fn failed(&self, error: &GitlabError) -> Duration {
        let text = error.to_string();
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let failures = current.as_ref().map_or(0, |current| current.failures) + 1;
        if failures == 1 {
            // Once: an hour without GitLab shall not fill the log.
            tracing::warn!(error = text, "{}", self.title);
        }
        *current = Some(Current { text, failures });
        let own = FIRST_REST
            .saturating_mul(1 << (failures - 1).min(10))
            .min(LONGEST_REST);
        error.kind.pause().map_or(own, |asked| asked.max(own))
    }

    /// Notes that GitLab does what it is asked.
    pub(super) fn answered(&self) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.take().is_some() {
            tracing::info!("no more: {}", self.title);
        }
    }
}
