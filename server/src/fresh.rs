//! Values that are computed when they are requested, and served again for a second: however many clients ask, it costs
//! no more than one per second.

use std::time::{Duration, Instant};

use tokio::sync::Mutex;

/// How long a value is served again.
const FRESH: Duration = Duration::from_secs(1);

/// A value that is computed at most once per second.
#[derive(Debug)]
pub struct Fresh<T>(Mutex<Option<(Instant, T)>>);

impl<T> Default for Fresh<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T: Clone> Fresh<T> {
    /// Returns the value. `make` computes it; it does not run while the last value is fresh. Concurrent callers wait
    /// for the first one.
    pub async fn get(&self, make: impl Future<Output = T>) -> T {
        let mut value = self.0.lock().await;
        if let Some((at, value)) = &*value
            && at.elapsed() < FRESH
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
        let fresh = Fresh::default();
        let (first, second) = tokio::join!(
            fresh.get(std::future::ready(1)),
            fresh.get(std::future::ready(2))
        );
        assert_eq!((first, second), (1, 1));
    }

    #[tokio::test]
    async fn computes_value_again_when_it_is_old() {
        let fresh = Fresh::default();
        fresh.get(std::future::ready(1)).await;
        if let Some((at, _)) = &mut *fresh.0.lock().await {
            *at -= FRESH;
        }
        assert_eq!(fresh.get(std::future::ready(2)).await, 2);
    }
}
