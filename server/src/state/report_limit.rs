//! Limits concurrent reports of workers. Each reads the database several times, and thousands may arrive at
//! the same moment: if all of them queued for the few connections, all would time out half-done, and none
//! would be accepted.

use std::sync::Arc;
use std::time::Duration;

use buildbtw_model::api::ProblemKind;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{Error, Refusal};

/// Maximum number of concurrent reports: as many as share a commit.
const MAX_CONCURRENT: usize = 128;
/// Maximum wait for a permit. Workers wait a minute for a response.
const MAX_WAIT: Duration = Duration::from_secs(45);
/// The `Retry-After` when the wait took too long.
const PAUSE: Duration = Duration::from_secs(5);

/// The limit of concurrent reports. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ReportLimit(Arc<Semaphore>);

impl Default for ReportLimit {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_CONCURRENT)))
    }
}

impl ReportLimit {
    /// Waits for a permit, in order of arrival.
    ///
    /// # Errors
    /// When the wait takes too long; the report may be repeated.
    pub async fn acquire(&self) -> Result<OwnedSemaphorePermit, Error> {
        self.acquire_within(MAX_WAIT).await
    }

    async fn acquire_within(&self, wait: Duration) -> Result<OwnedSemaphorePermit, Error> {
        let permit = Arc::clone(&self.0).acquire_owned();
        match tokio::time::timeout(wait, permit).await {
            Ok(permit) => Ok(permit.map_err(anyhow::Error::from)?),
            Err(_) => Err(too_many()),
        }
    }
}

fn too_many() -> Error {
    let title = "too many workers report at the same time";
    Refusal::new(ProblemKind::Unavailable, title)
        .retry_after(PAUSE)
        .hint("repeat the report in a moment")
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusal_matches_snapshot() {
        insta::assert_snapshot!(crate::testing::refusals([("many reports", too_many())]));
    }

    #[tokio::test]
    async fn rejects_long_waiters_and_finishes_running_ones() {
        let limit = ReportLimit::default();
        let mut inside = Vec::new();
        for _ in 0..MAX_CONCURRENT {
            inside.push(limit.acquire().await.unwrap());
        }
        let refused = limit.acquire_within(Duration::ZERO).await;
        let refused = refused.unwrap_err().into_problem();
        assert_eq!(refused.kind, ProblemKind::Unavailable);
        let waiting = tokio::spawn({
            let limit = limit.clone();
            async move { limit.acquire().await.is_ok() }
        });
        tokio::task::yield_now().await;
        inside.pop();
        assert!(waiting.await.unwrap());
    }
}
