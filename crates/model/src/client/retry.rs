//! Retries with exponential backoff and jitter.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder, Retryable as _};

use super::error::ClientError;

/// Delays between retries: each about twice the previous one, up to a maximum, with jitter so that clients do not retry
/// in step.
#[derive(Debug)]
pub struct Backoff {
    pauses: ExponentialBackoff,
    max: Duration,
}

impl Backoff {
    /// Starts with a delay of about `first`; no delay is longer than `max`.
    #[must_use]
    pub fn new(first: Duration, max: Duration) -> Self {
        // The jitter adds up to the same amount again to each delay.
        let pauses = ExponentialBuilder::new()
            .with_min_delay(first.min(max) / 2)
            .with_max_delay(max / 2)
            .with_jitter()
            .without_max_times()
            .build();
        Self { pauses, max }
    }

    /// Returns the next delay: between half and all of the current step.
    pub fn next_pause(&mut self) -> Duration {
        self.pauses.next().unwrap_or(self.max)
    }
}

/// Calls `operation` until it succeeds or fails with an error that is not transient. `on_pause` is called with each
/// transient error and the delay that follows.
///
/// # Errors
/// Returns the first error that is not transient.
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
