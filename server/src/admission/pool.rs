//! A limited resource: connections, open files, bytes of bodies.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::source::Source;

/// The capacity of a pool.
#[derive(Clone, Copy, Debug)]
pub(super) struct Capacity {
    /// The total.
    pub(super) total: usize,
    /// The part that is reserved for sources that authenticated recently.
    pub(super) reserved: usize,
    /// The maximum of one source.
    pub(super) per_source: usize,
}

/// The class of a source; it decides how much of the reserve is available.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SourceClass {
    /// Not authenticated: nothing of the reserve.
    Anonymous,
    /// A trusted proxy: half of the reserve, since its connections may be idle.
    Proxy,
    /// Authenticated recently: all of the reserve.
    Known,
}

/// Which limit is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exhausted {
    /// That of the source.
    Source,
    /// That of the pool.
    Total,
}

/// A pool of a limited resource. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Pool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    capacity: Capacity,
    taken: Mutex<PoolUsage>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct PoolUsage {
    all: usize,
    /// Sources without permits are removed.
    by_source: HashMap<Source, usize>,
}

impl Pool {
    pub(super) fn new(capacity: Capacity) -> Self {
        Self(Arc::new(Inner {
            capacity,
            taken: Mutex::default(),
            freed: Notify::new(),
        }))
    }

    /// Returns how much is taken.
    pub(super) fn taken(&self) -> usize {
        self.0.lock().all
    }

    /// Returns whether only the reserve is left.
    pub(super) fn has_only_reserve(&self) -> bool {
        self.0.lock().all >= self.0.open_to(SourceClass::Anonymous)
    }

    /// Takes an amount and counts it for the source, if there is one.
    pub(super) fn take(
        &self,
        source: Option<Source>,
        amount: usize,
        class: SourceClass,
    ) -> Result<Permit, Exhausted> {
        let mut taken = self.0.lock();
        if let Some(source) = source {
            let own = taken.by_source.get(&source).copied().unwrap_or_default();
            if own + amount > self.0.capacity.per_source {
                return Err(Exhausted::Source);
            }
        }
        if taken.all + amount > self.0.open_to(class) {
            return Err(Exhausted::Total);
        }
        taken.all += amount;
        if let Some(source) = source {
            *taken.by_source.entry(source).or_default() += amount;
        }
        Ok(Permit {
            pool: Arc::clone(&self.0),
            source,
            amount,
        })
    }

    /// Waits until the amount is available and takes it. Never returns if the amount exceeds the source's
    /// limit.
    pub(super) async fn wait_for(
        &self,
        source: Source,
        amount: usize,
        class: SourceClass,
    ) -> Permit {
        loop {
            let freed = self.0.freed.notified();
            tokio::pin!(freed);
            // Registered before the check, so that a release in between is not missed.
            freed.as_mut().enable();
            if let Ok(permit) = self.take(Some(source), amount, class) {
                return permit;
            }
            freed.await;
        }
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, PoolUsage> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open_to(&self, class: SourceClass) -> usize {
        let reserved = match class {
            SourceClass::Anonymous => self.capacity.reserved,
            SourceClass::Proxy => self.capacity.reserved / 2,
            SourceClass::Known => 0,
        };
        self.capacity.total.saturating_sub(reserved)
    }
}

/// An amount taken from a pool; dropping it returns the amount.
#[derive(Debug)]
#[must_use]
pub struct Permit {
    pool: Arc<Inner>,
    source: Option<Source>,
    amount: usize,
}

impl Permit {
    /// Merges another permit of the same pool and source into this one.
    pub(crate) fn join(&mut self, mut other: Self) {
        self.amount += std::mem::take(&mut other.amount);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut taken = self.pool.lock();
        taken.all -= self.amount;
        if let Some(source) = self.source
            && let Some(own) = taken.by_source.get_mut(&source)
        {
            *own -= self.amount;
            if *own == 0 {
                taken.by_source.remove(&source);
            }
        }
        drop(taken);
        self.pool.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn source(last: u8) -> Option<Source> {
        Some(IpAddr::from([10, 0, 0, last]).into())
    }

    #[test]
    fn limits_each_source_and_keeps_reserve_from_anonymous_sources() {
        let pool = Pool::new(Capacity {
            total: 6,
            reserved: 2,
            per_source: 3,
        });
        let mut permits: Vec<_> = (0..3)
            .map(|_| pool.take(source(1), 1, SourceClass::Anonymous).unwrap())
            .collect();
        assert_eq!(
            pool.take(source(1), 1, SourceClass::Anonymous).unwrap_err(),
            Exhausted::Source
        );
        permits.push(pool.take(source(2), 1, SourceClass::Anonymous).unwrap());
        assert!(pool.has_only_reserve());
        assert_eq!(
            pool.take(source(3), 1, SourceClass::Anonymous).unwrap_err(),
            Exhausted::Total
        );
        permits.push(pool.take(source(3), 2, SourceClass::Known).unwrap());
        assert_eq!(
            pool.take(source(4), 1, SourceClass::Known).unwrap_err(),
            Exhausted::Total
        );
        assert_eq!(
            pool.take(None, 1, SourceClass::Known).unwrap_err(),
            Exhausted::Total
        );
        drop(permits);
        assert!(pool.0.lock().by_source.is_empty());
        assert!(pool.take(source(3), 3, SourceClass::Anonymous).is_ok());
    }

    #[tokio::test]
    async fn released_permits_go_to_waiters() {
        let pool = Pool::new(Capacity {
            total: 4,
            reserved: 0,
            per_source: 4,
        });
        let held = pool.take(source(1), 4, SourceClass::Anonymous).unwrap();
        let waiting = {
            let pool = pool.clone();
            tokio::spawn(async move {
                pool.wait_for(source(2).unwrap(), 3, SourceClass::Anonymous)
                    .await
            })
        };
        drop(held);
        let mut first = waiting.await.unwrap();
        assert_eq!(first.amount, 3);
        first.join(pool.take(source(2), 1, SourceClass::Anonymous).unwrap());
        assert_eq!(
            pool.take(source(3), 1, SourceClass::Anonymous).unwrap_err(),
            Exhausted::Total
        );
        drop(first);
        assert!(pool.take(source(3), 4, SourceClass::Anonymous).is_ok());
    }
}
