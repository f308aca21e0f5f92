//! Retries requests while the server is unreachable.

use std::time::{Duration, Instant};

use buildbtw_model::client::{Backoff, ClientError};

/// Repeats a request with backoff until it succeeds or fails permanently, with pauses of at most `max_pause`. Fails
/// when the next try would start later than `timeout` from now. Calls `on_pause` with each error before a retry.
pub(crate) async fn retry<T, F>(
    timeout: Duration,
    max_pause: Duration,
    mut on_pause: impl FnMut(&ClientError),
    request: impl Fn() -> F,
) -> Result<T, ClientError>
where
    F: Future<Output = Result<T, ClientError>>,
{
    let deadline = Instant::now() + timeout;
    let mut backoff = Backoff::new(Duration::from_millis(250), max_pause);
    loop {
        let error = match request().await {
            Ok(response) => return Ok(response),
            Err(error) => error,
        };
        let pause = backoff.next_pause();
        if !error.is_transient() || Instant::now() + pause > deadline {
            return Err(error);
        }
        on_pause(&error);
        tokio::time::sleep(pause).await;
    }
}
