//! Repeats requests while the server may be away.

use std::time::{Duration, Instant};

use buildbtw_model::client::{Backoff, ClientError};

/// Repeats a request until the server answers it or refuses it for good, with pauses of at most `longest`. Gives up when the
/// next try would start later than `patience` from now. `on_pause` is called with each error that is waited out.
pub(crate) async fn persist<T, F>(
    patience: Duration,
    longest: Duration,
    mut on_pause: impl FnMut(&ClientError),
    request: impl Fn() -> F,
) -> Result<T, ClientError>
where
    F: Future<Output = Result<T, ClientError>>,
{
    let deadline = Instant::now() + patience;
    let mut backoff = Backoff::new(Duration::from_millis(250), longest);
    loop {
        let error = match request().await {
            Ok(answer) => return Ok(answer),
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
