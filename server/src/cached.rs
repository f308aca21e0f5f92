//! Values that are computed when they are requested, and served again for a second: however many clients ask, it costs
//! no more than one per second.

use std::time::{Duration, Instant};

use tokio::sync::Mutex;

/// How long a value is served again.
const MAX_AGE: Duration = Duration::from_secs(1);

/// A value that is computed at most once per second.
#[derive(Debug)]
pub struct Cached<T>(Mutex<Option<(Instant, T)>>);

impl<T> Default for Cached<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T: Clone> Cached<T> {
    /// Returns the value. `make` computes it; it does not run while the last value is young enough. Concurrent callers
    /// wait for the first one.
    pub async fn get(&self, make: impl Future<Output = T>) -> T {
        let mut value = self.0.lock().await;
        if let Some((at, value)) = &*value
            && at.elapsed() < MAX_AGE
        {
            return value.clone();
        }
        let at = Instant::now();
        let new = make.await;
        *value = Some((at, new.clone()));
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn computes_value_once_for_concurrent_callers() {
        let cached = Cached::default();
        let (first, second) = tokio::join!(
            cached.get(std::future::ready(1)),
            cached.get(std::future::ready(2))
        );
        assert_eq!((first, second), (1, 1));
    }

    #[tokio::test]
    async fn computes_value_again_when_it_is_old() {
        let cached = Cached::default();
        cached.get(std::future::ready(1)).await;
        if let Some((at, _)) = &mut *cached.0.lock().await {
            *at -= MAX_AGE;
        }
        assert_eq!(cached.get(std::future::ready(2)).await, 2);
    }
}
