//! Something of which there is a limited amount: connections, open files, bytes of bodies.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::source::Source;

/// How much there is of something.
#[derive(Clone, Copy, Debug)]
pub(super) struct Amounts {
    /// All of it.
    pub(super) total: usize,
    /// The part that only sources get that authenticated lately.
    pub(super) kept: usize,
    /// The most that one source gets.
    pub(super) per_source: usize,
}

/// Who takes something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    /// Somebody who gets nothing of what is kept.
    Stranger,
    /// A trusted proxy, which gets half of it: it may have connections that nobody uses.
    Proxy,
    /// Somebody who authenticated lately.
    Known,
}

/// Why nothing was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// The source has as much as it may have.
    Source,
    /// There is not enough left.
    Total,
}

/// A limited amount of something. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Pool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    amounts: Amounts,
    taken: Mutex<Taken>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    /// Holds no source that has nothing.
    by_source: HashMap<Source, usize>,
}

impl Pool {
    pub(super) fn new(amounts: Amounts) -> Self {
        Self(Arc::new(Inner {
            amounts,
            taken: Mutex::default(),
            freed: Notify::new(),
        }))
    }

    /// Whether the part is taken that is not kept.
    pub(super) fn has_only_kept(&self) -> bool {
        self.0.lock().all >= self.0.open_to(Who::Stranger)
    }

    /// Takes an amount for a source, or without counting it for one.
    pub(super) fn take(
        &self,
        source: Option<Source>,
        amount: usize,
        who: Who,
    ) -> Result<Permit, Full> {
        let mut taken = self.0.lock();
        if let Some(source) = source {
            let own = taken.by_source.get(&source).copied().unwrap_or_default();
            if own + amount > self.0.amounts.per_source {
                return Err(Full::Source);
            }
        }
        if taken.all + amount > self.0.open_to(who) {
            return Err(Full::Total);
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

    /// The same, and waits until there is enough. Never ends for more than a source may have.
    pub(super) async fn wait_for(&self, source: Source, amount: usize, who: Who) -> Permit {
        loop {
            let freed = self.0.freed.notified();
            tokio::pin!(freed);
            // Before looking, so that nothing is freed unnoticed.
            freed.as_mut().enable();
            if let Ok(permit) = self.take(Some(source), amount, who) {
                return permit;
            }
            freed.await;
        }
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open_to(&self, who: Who) -> usize {
        let kept = match who {
            Who::Stranger => self.amounts.kept,
            Who::Proxy => self.amounts.kept / 2,
            Who::Known => 0,
        };
        self.amounts.total.saturating_sub(kept)
    }
}

/// What was taken; given back when this is dropped.
#[derive(Debug)]
#[must_use]
pub struct Permit {
    pool: Arc<Inner>,
    source: Option<Source>,
    amount: usize,
}

impl Permit {
    /// Holds what another one of the same pool and source holds, too.
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
        let pool = Pool::new(Amounts {
            total: 6,
            kept: 2,
            per_source: 3,
        });
        let mut permits: Vec<_> = (0..3)
            .map(|_| pool.take(source(1), 1, Who::Stranger).unwrap())
            .collect();
        assert_eq!(
            pool.take(source(1), 1, Who::Stranger).unwrap_err(),
            Full::Source
        );
        permits.push(pool.take(source(2), 1, Who::Stranger).unwrap());
        assert!(pool.has_only_kept());
        assert_eq!(
            pool.take(source(3), 1, Who::Stranger).unwrap_err(),
            Full::Total
        );
        permits.push(pool.take(source(3), 2, Who::Known).unwrap());
        assert_eq!(
            pool.take(source(4), 1, Who::Known).unwrap_err(),
            Full::Total
        );
        assert_eq!(pool.take(None, 1, Who::Known).unwrap_err(), Full::Total);
        drop(permits);
        assert!(pool.0.lock().by_source.is_empty());
        assert!(pool.take(source(3), 3, Who::Stranger).is_ok());
    }

    #[tokio::test]
    async fn released_permits_go_to_waiters() {
        let pool = Pool::new(Amounts {
            total: 4,
            kept: 0,
            per_source: 4,
        });
        let held = pool.take(source(1), 4, Who::Stranger).unwrap();
        let waiting = {
            let pool = pool.clone();
            tokio::spawn(async move { pool.wait_for(source(2).unwrap(), 3, Who::Stranger).await })
        };
        drop(held);
        let mut first = waiting.await.unwrap();
        assert_eq!(first.amount, 3);
        first.join(pool.take(source(2), 1, Who::Stranger).unwrap());
        assert_eq!(
            pool.take(source(3), 1, Who::Stranger).unwrap_err(),
            Full::Total
        );
        drop(first);
        assert!(pool.take(source(3), 4, Who::Stranger).is_ok());
    }
}
