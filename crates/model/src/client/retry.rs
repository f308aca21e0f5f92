//! Repeating what may succeed later, with growing, randomised pauses.

use std::time::Duration;

use super::ClientError;

/// Pauses between tries: each about twice the one before, up to a maximum, never all clients at once.
#[derive(Clone, Debug)]
pub struct Backoff {
    next: Duration,
    max: Duration,
}

impl Backoff {
    /// Starts with a pause of about `first`; none is longer than `max`.
    #[must_use]
    pub fn new(first: Duration, max: Duration) -> Self {
        Self { next: first, max }
    }

    /// The next pause: between half and all of the current step.
    pub fn next_pause(&mut self) -> Duration {
        let step = self.next.min(self.max);
        self.next = (step * 2).min(self.max);
        step.mul_f64(rand::random_range(0.5..=1.0))
    }
}

/// Calls `operation` until it succeeds or fails for good. `on_pause` hears of each failed try.
///
/// # Errors
/// The first error that is not transient.
pub async fn retry<T, F>(
    mut backoff: Backoff,
    mut on_pause: impl FnMut(&ClientError, Duration),
    mut operation: impl FnMut() -> F,
) -> Result<T, ClientError>
where
    F: Future<Output = Result<T, ClientError>>,
{
    loop {
        match operation().await {
            Err(error) if error.is_transient() => {
                let pause = backoff.next_pause();
                on_pause(&error, pause);
                tokio::time::sleep(pause).await;
            }
            result => return result,
        }
    }
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
