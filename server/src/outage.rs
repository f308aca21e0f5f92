//! Outages: why a background task cannot do its work, since when, and its backoff. The log has the start
//! and the end; pages and the command line show the current one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use buildbtw_gitlab::GitlabError;
use buildbtw_model::Explanation;
use jiff::Timestamp;

use crate::error::Error;
use crate::time::Clock;

/// Why a background task cannot do its work.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// GitLab failed.
    #[error(transparent)]
    Gitlab(GitlabError),
    /// The database, the disk or the machine failed.
    #[error(transparent)]
    Server(Error),
    /// GitLab lists far fewer projects than before.
    #[error("GitLab lists only {shown} of {known} known projects")]
    ProjectsMissing {
        /// How many projects GitLab lists.
        shown: usize,
        /// How many projects are known.
        known: usize,
    },
    /// The disk is below its reserve.
    #[error(
        "the server's disk is below its reserve: {} MiB are free, {} MiB are reserved; uploads, new \
         namespaces and dispatch wait",
        .free >> 20,
        .reserve >> 20
    )]
    DiskReserve {
        /// The free space in bytes.
        free: u64,
        /// The reserve in bytes.
        reserve: u64,
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
    /// Returns what identifies the failure, without numbers that differ from retry to retry.
    fn fingerprint(&self) -> String {
        match self {
            Self::Gitlab(error) => {
                let kind = std::mem::discriminant(&error.kind);
                format!("{} {kind:?}", error.request)
            }
            Self::DiskReserve { .. } => "disk reserve".to_owned(),
            failure => failure.to_string(),
        }
    }

    /// Returns the message, and what the operator can do.
    fn explanation(&self) -> Explanation {
        match self {
            Self::Gitlab(error) => error.explanation(),
            Self::Server(error) => error.to_string().into(),
            Self::ProjectsMissing { .. } => Explanation::with_hint(
                self.to_string(),
                "check the role of the token's user in the group; the other projects are kept unless the next \
                 full resync confirms that they are gone",
            ),
            Self::DiskReserve { .. } => Explanation::with_hint(
                self.to_string(),
                "delete a namespace, or free space otherwise; the server resumes then",
            ),
        }
    }

    /// Returns the pause that GitLab requests.
    fn requested_pause(&self) -> Option<Duration> {
        match self {
            Self::Gitlab(error) => error.kind.pause(),
            Self::Server(_) | Self::ProjectsMissing { .. } | Self::DiskReserve { .. } => None,
        }
    }

    fn is_internal(&self) -> bool {
        matches!(self, Self::Server(_))
    }

    /// Returns whether another failure is the same, apart from such numbers.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        self.fingerprint() == other.fingerprint()
    }
}

/// Pauses of a task after failures.
#[derive(Clone, Copy, Debug)]
pub struct Pauses {
    /// After the first failure; doubled after each further one.
    pub first: Duration,
    /// The maximum.
    pub longest: Duration,
    /// After a failure of this server, which fails fast and recovers fast.
    pub of_server: Duration,
}

impl Pauses {
    /// Returns a constant pause.
    #[must_use]
    pub const fn constant(pause: Duration) -> Self {
        Self {
            first: pause,
            longest: pause,
            of_server: pause,
        }
    }

    /// Returns a pause that doubles with each failure.
    #[must_use]
    pub const fn growing(first: Duration, longest: Duration) -> Self {
        Self {
            first,
            longest,
            of_server: Duration::from_secs(1),
        }
    }
}

/// Exponential backoff over consecutive failures.
#[derive(Debug)]
pub struct Backoff {
    pauses: Pauses,
    growing: ExponentialBackoff,
}

impl Backoff {
    /// Creates a backoff without failures.
    #[must_use]
    pub fn new(pauses: Pauses) -> Self {
        let growing = ExponentialBuilder::new()
            .with_min_delay(pauses.first)
            .with_max_delay(pauses.longest)
            .without_max_times()
            .build();
        Self { pauses, growing }
    }

    /// Returns the pause after one more failure.
    pub fn failed(&mut self) -> Duration {
        self.growing.next().unwrap_or(self.pauses.longest)
    }

    /// Returns the pause after this failure: of the server, or at least what GitLab requests.
    pub(crate) fn pause_after(&mut self, failure: &Failure) -> Duration {
        let own = self.failed();
        if failure.is_internal() {
            self.pauses.of_server
        } else {
            own.max(failure.requested_pause().unwrap_or_default())
        }
    }

    /// Resets the backoff after a success.
    pub fn reset(&mut self) {
        *self = Self::new(self.pauses);
    }
}

/// The state of one background task: working, or in an outage. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Outage(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// What the task cannot do; the log message of its start.
    title: &'static str,
    pauses: Pauses,
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    current: Option<Current>,
    backoff: Backoff,
}

/// A current outage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Current {
    /// The human-readable cause, and what the operator can do.
    pub cause: Explanation,
    /// When it began.
    pub since: Timestamp,
    /// Whether this server is at fault, not the system that it calls.
    pub is_internal: bool,
    fingerprint: String,
}

impl Outage {
    /// Creates the state without an outage.
    #[must_use]
    pub fn new(title: &'static str, pauses: Pauses, clock: &Clock) -> Self {
        Self(Arc::new(Inner {
            title,
            pauses,
            clock: clock.clone(),
            state: Mutex::new(State {
                current: None,
                backoff: Backoff::new(pauses),
            }),
        }))
    }

    /// Returns what the task cannot do during an outage.
    #[must_use]
    pub fn title(&self) -> &'static str {
        self.0.title
    }

    /// Returns the current outage.
    #[must_use]
    pub fn current(&self) -> Option<Current> {
        self.lock().current.clone()
    }

    /// Returns the human-readable cause of an outage of the other system.
    #[must_use]
    pub fn remote(&self) -> Option<String> {
        let current = self.current().filter(|current| !current.is_internal)?;
        Some(current.cause.message)
    }

    /// Creates a backoff with the pauses of this task, for a part of its work.
    pub(crate) fn backoff(&self) -> Backoff {
        Backoff::new(self.0.pauses)
    }

    /// Records a failure, and returns the pause before the next try.
    pub fn failed(&self, failure: &Failure) -> Duration {
        let pause = self.lock().backoff.pause_after(failure);
        self.note(failure, pause);
        pause
    }

    /// Records a failure for which the caller chooses the pause.
    pub(crate) fn note(&self, failure: &Failure, pause: Duration) {
        let Explanation { message, hint } = failure.explanation();
        let (hint, title) = (hint.as_deref(), self.0.title);
        let pause_s = pause.as_secs_f64();
        if self.show(failure) {
            // Logged once: an hour without GitLab must not fill the log.
            if failure.is_internal() {
                tracing::error!(error = message, hint, pause_s, "{title}");
            } else {
                tracing::warn!(error = message, hint, pause_s, "{title}");
            }
        } else {
            tracing::debug!(error = message, "outage continues: {title}");
        }
    }

    /// Shows a failure without logging it. Returns whether it differs from the previous one.
    pub(crate) fn show(&self, failure: &Failure) -> bool {
        self.begin(
            failure.explanation(),
            failure.fingerprint(),
            failure.is_internal(),
        )
    }

    /// Records a panic of the task, and returns the pause before it is restarted.
    pub fn panicked(&self, message: &str) -> Duration {
        let pause = self.lock().backoff.failed();
        tracing::error!(
            panic = message,
            pause_s = pause.as_secs_f64(),
            "a background task panicked and is restarted: {}",
            self.0.title
        );
        let message = panic_message(message);
        self.begin(message.clone().into(), message, true);
        pause
    }

    /// Records a success, which ends the outage.
    pub fn recovered(&self) {
        let mut state = self.lock();
        let Some(over) = state.current.take() else {
            return;
        };
        state.backoff.reset();
        drop(state);
        tracing::info!(since = %over.since, "outage ended: {}", self.0.title);
    }

    /// Returns whether the failure differs from the previous one.
    fn begin(&self, cause: Explanation, fingerprint: String, is_internal: bool) -> bool {
        let mut state = self.lock();
        let before = state.current.take();
        let is_new = before
            .as_ref()
            .is_none_or(|before| before.fingerprint != fingerprint);
        state.current = Some(Current {
            cause,
            since: before.map_or_else(|| self.0.clock.now().into(), |before| before.since),
            is_internal,
            fingerprint,
        });
        is_new
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the human-readable cause of an outage, after a panic.
fn panic_message(panic: &str) -> String {
    format!("a background task of the server panicked: {panic}")
}

#[cfg(test)]
mod tests;
