//! Outages: what keeps a background task from its work, since when, and how long it rests before it tries
//! again. The log tells of the beginning and the end; pages and the CLI show what is going on.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use buildbtw_gitlab::GitlabError;
use jiff::Timestamp;

use crate::error::Error;

/// Why a background task could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// GitLab did not do what it was asked.
    #[error(transparent)]
    Gitlab(GitlabError),
    /// The database, the disk or the machine refused.
    #[error(transparent)]
    Server(Error),
    /// GitLab seems to have lost most projects.
    #[error(
        "GitLab lists only {shown} of {known} known projects; the token may have lost its role. \
         The others are kept unless the next full resync confirms that they are gone"
    )]
    ProjectsMissing {
        /// How many it shows.
        shown: usize,
        /// How many there were.
        known: usize,
    },
}

impl From<GitlabError> for Failure {
    fn from(error: GitlabError) -> Self {
        Self::Gitlab(error)
    }
}

impl<E: Into<Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Server(error.into())
    }
}

impl Failure {
    /// What stays the same while the numbers in a message differ from try to try.
    fn fingerprint(&self) -> String {
        match self {
            Self::Gitlab(error) => {
                let kind = std::mem::discriminant(&error.kind);
                format!("{} {kind:?}", error.request)
            }
            failure => failure.to_string(),
        }
    }

    /// How long GitLab asks to be left alone.
    pub(crate) fn requested_pause(&self) -> Option<Duration> {
        match self {
            Self::Gitlab(error) => error.kind.pause(),
            Self::Server(_) | Self::ProjectsMissing { .. } => None,
        }
    }

    fn is_of_server(&self) -> bool {
        matches!(self, Self::Server(_))
    }
}

/// How long a task rests after failures.
#[derive(Clone, Copy, Debug)]
pub struct Pauses {
    /// After the first one; twice as long after each further one.
    pub first: Duration,
    /// At most.
    pub longest: Duration,
    /// After one of this server, which fails fast and recovers fast.
    pub of_server: Duration,
}

impl Pauses {
    /// The same pause after every failure.
    #[must_use]
    pub const fn constant(pause: Duration) -> Self {
        Self {
            first: pause,
            longest: pause,
            of_server: pause,
        }
    }

    /// A pause that doubles with every failure.
    #[must_use]
    pub const fn growing(first: Duration, longest: Duration) -> Self {
        Self {
            first,
            longest,
            of_server: Duration::from_secs(1),
        }
    }
}

/// Grows with every failure in a row.
#[derive(Debug)]
pub struct Backoff {
    pauses: Pauses,
    growing: ExponentialBackoff,
}

impl Backoff {
    /// Nothing has failed yet.
    #[must_use]
    pub fn new(pauses: Pauses) -> Self {
        let growing = ExponentialBuilder::new()
            .with_min_delay(pauses.first)
            .with_max_delay(pauses.longest)
            .without_max_times()
            .build();
        Self { pauses, growing }
    }

    /// The pause after one more failure.
    pub fn failed(&mut self) -> Duration {
        self.growing.next().unwrap_or(self.pauses.longest)
    }

    /// Begins anew: something succeeded.
    pub fn reset(&mut self) {
        *self = Self::new(self.pauses);
    }
}

/// What is wrong with one background task at the moment, if anything. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Outage(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// What the log says when it begins.
    title: &'static str,
    pauses: Pauses,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    current: Option<Current>,
    backoff: Backoff,
}

/// An outage that goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Current {
    /// What is wrong, for people.
    pub message: String,
    /// Since when.
    pub since: Timestamp,
    /// Whether it is a fault of this server, and not of what it talks to.
    pub is_of_server: bool,
    fingerprint: String,
}

impl Outage {
    /// All is well.
    #[must_use]
    pub fn new(title: &'static str, pauses: Pauses) -> Self {
        Self(Arc::new(Inner {
            title,
            pauses,
            state: Mutex::new(State {
                current: None,
                backoff: Backoff::new(pauses),
            }),
        }))
    }

    /// What is wrong.
    #[must_use]
    pub fn current(&self) -> Option<Current> {
        self.lock().current.clone()
    }

    /// What is wrong with the other side, for people.
    #[must_use]
    pub fn remote(&self) -> Option<String> {
        let current = self.current().filter(|current| !current.is_of_server)?;
        Some(current.message)
    }

    /// Notes a failure, and returns how long to rest before the next try.
    pub fn failed(&self, failure: &Failure) -> Duration {
        let own = self.lock().backoff.failed();
        let pause = if failure.is_of_server() {
            self.0.pauses.of_server
        } else {
            own.max(failure.requested_pause().unwrap_or_default())
        };
        self.note(failure, pause);
        pause
    }

    /// Notes a failure after which the caller decides about the next try.
    pub fn note(&self, failure: &Failure, pause: Duration) {
        let message = failure.to_string();
        if self.begin(
            message.clone(),
            failure.fingerprint(),
            failure.is_of_server(),
        ) {
            // Once: an hour without GitLab shall not fill the log.
            if failure.is_of_server() {
                tracing::error!(
                    error = message,
                    pause_s = pause.as_secs_f64(),
                    "{}",
                    self.0.title
                );
            } else {
                tracing::warn!(
                    error = message,
                    pause_s = pause.as_secs_f64(),
                    "{}",
                    self.0.title
                );
            }
        } else {
            tracing::debug!(error = message, "outage continues: {}", self.0.title);
        }
    }

    /// Notes that the task panicked, and returns how long to wait before it is started again.
    pub fn panicked(&self, message: String) -> Duration {
        let pause = self.lock().backoff.failed();
        tracing::error!(
            panic = message,
            pause_s = pause.as_secs_f64(),
            "a background task panicked and is restarted: {}",
            self.0.title
        );
        let message = format!("a background task of the server panicked: {message}");
        self.begin(message.clone(), message, true);
        pause
    }

    /// Notes that all is well.
    pub fn recovered(&self) {
        let mut state = self.lock();
        let Some(over) = state.current.take() else {
            return;
        };
        state.backoff.reset();
        drop(state);
        tracing::info!(since = %over.since, "outage ended: {}", self.0.title);
    }

    /// Returns whether its gist is new.
    fn begin(&self, message: String, fingerprint: String, is_of_server: bool) -> bool {
        let mut state = self.lock();
        let before = state.current.take();
        let is_new = before
            .as_ref()
            .is_none_or(|before| before.fingerprint != fingerprint);
        state.current = Some(Current {
            message,
            since: before.map_or_else(Timestamp::now, |before| before.since),
            is_of_server,
            fingerprint,
        });
        is_new
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use buildbtw_gitlab::GitlabErrorKind;

    const SECOND: Duration = Duration::from_secs(1);

    fn gitlab(kind: GitlabErrorKind) -> Failure {
        Failure::Gitlab(GitlabError {
            request: "projects",
            about: "packages".into(),
            request_id: None,
            kind,
        })
    }

    #[test]
    fn pauses_longer_after_each_failure_until_recovery() {
        let outage = Outage::new("no GitLab", Pauses::growing(2 * SECOND, 5 * SECOND));
        let pauses = [2, 4, 5, 5].map(|seconds| seconds * SECOND);
        assert_eq!(
            [(); 4].map(|()| outage.failed(&gitlab(GitlabErrorKind::Timeout))),
            pauses
        );
        let since = outage.current().unwrap().since;
        outage.failed(&gitlab(GitlabErrorKind::Timeout));
        assert_eq!(outage.current().unwrap().since, since);
        outage.recovered();
        assert_eq!(outage.current(), None);
        assert_eq!(outage.failed(&gitlab(GitlabErrorKind::Timeout)), 2 * SECOND);
    }

    #[test]
    fn pauses_for_as_long_as_gitlab_asks() {
        let outage = Outage::new("no GitLab", Pauses::growing(2 * SECOND, 60 * SECOND));
        let paused = gitlab(GitlabErrorKind::Paused {
            status: 429,
            pause: Some(90 * SECOND),
        });
        assert_eq!(outage.failed(&paused), 90 * SECOND);
    }

    #[test]
    fn hides_local_failures_from_the_outage_of_gitlab() {
        let outage = Outage::new("no GitLab", Pauses::growing(2 * SECOND, 60 * SECOND));
        let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
        assert_eq!(outage.failed(&Failure::from(full)), SECOND);
        assert!(outage.current().is_some());
        assert_eq!(outage.remote(), None);
        outage.failed(&gitlab(GitlabErrorKind::Timeout));
        assert!(outage.remote().unwrap().contains("did not answer in time"));
    }
}
