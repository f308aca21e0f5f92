//! Repeating what may succeed later, with growing, randomised pauses.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder, Retryable as _};

use super::error::ClientError;

/// Pauses between tries: each about twice the one before, up to a maximum, never all clients at once.
#[derive(Debug)]
pub struct Backoff {
    pauses: ExponentialBackoff,
    max: Duration,
}

impl Backoff {
    /// Starts with a pause of about `first`; none is longer than `max`.
    #[must_use]
    pub fn new(first: Duration, max: Duration) -> Self {
        // The jitter adds up to as much again to each pause.
        let pauses = ExponentialBuilder::new()
            .with_min_delay(first.min(max) / 2)
            .with_max_delay(max / 2)
            .with_jitter()
            .without_max_times()
            .build();
        Self { pauses, max }
    }

    /// The next pause: between half and all of the current step.
    pub fn next_pause(&mut self) -> Duration {
        self.pauses.next().unwrap_or(self.max)
    }
}

/// Calls `operation` until it succeeds or fails for good. `on_pause` hears of each failed try.
///
/// # Errors
/// The first error that is not transient.
pub async fn retry<T, F>(
    backoff: Backoff,
    on_pause: impl FnMut(&ClientError, Duration),
    operation: impl FnMut() -> F,
) -> Result<T, ClientError>
where
    F: Future<Output = Result<T, ClientError>>,
{
    operation
        .retry(backoff.pauses)
        .sleep(tokio::time::sleep)
        .when(ClientError::is_transient)
        .notify(on_pause)
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backs_off_up_to_the_maximum() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_millis(300));
        let pauses: Vec<_> = (0..5).map(|_| backoff.next_pause().as_millis()).collect();
        assert!((50..=100).contains(&pauses[0]), "{pauses:?}");
        assert!((100..=200).contains(&pauses[1]), "{pauses:?}");
        assert!(
            pauses[2..].iter().all(|pause| (150..=300).contains(pause)),
            "{pauses:?}"
        );
    }
}
