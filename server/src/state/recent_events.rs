//! The newest events in memory: thousands of followers read each of them from the database once, not each on its own.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use buildbtw_model::EventId;
use tokio::sync::Mutex;

use crate::changes::Changes;
use crate::db::events::{self, EventRow};
use crate::db::{Database, NamespaceId};

/// How many events are kept. Followers that are further behind read from the database.
const KEPT: usize = 4096;
/// The number of events read at once.
const BATCH: i64 = 1000;
/// How long a follower waits after a change, for each follower there is: together they send at most ten thousand times
/// a second, and builds are dispatched as fast with thousands of them as without.
const PAUSE_PER_FOLLOWER: Duration = Duration::from_micros(100);
/// Shorter pauses are none.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);

/// The newest events. They are read when a follower asks for them, so that nothing is read without followers.
/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct RecentEvents {
    kept: usize,
    recent: Arc<Mutex<Recent>>,
    followers: Arc<AtomicU32>,
}

/// A follower, counted until this is dropped.
#[derive(Debug)]
pub struct Following(Arc<AtomicU32>);

impl Drop for Following {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Default for RecentEvents {
    fn default() -> Self {
        Self::keeping(KEPT)
    }
}

#[derive(Debug, Default)]
struct Recent {
    /// All events after `floor`, in the order of their numbers.
    rows: VecDeque<Arc<EventRow>>,
    /// The number before the first kept one; absent before the first reading.
    floor: Option<EventId>,
    /// The version of the changes that the rows include.
    version: u64,
}

impl RecentEvents {
    fn keeping(kept: usize) -> Self {
        Self {
            kept,
            recent: Arc::default(),
            followers: Arc::default(),
        }
    }

    /// Counts a follower.
    #[must_use]
    pub fn follow(&self) -> Following {
        self.followers.fetch_add(1, Ordering::Relaxed);
        Following(Arc::clone(&self.followers))
    }

    /// Waits after a change, so that changes in quick succession are sent together if there are many followers.
    pub async fn gather(&self) {
        let pause = PAUSE_PER_FOLLOWER * self.followers.load(Ordering::Relaxed);
        if pause >= SHORTEST_PAUSE {
            tokio::time::sleep(pause).await;
        }
    }

    /// Returns up to `limit` events after a number, those of one namespace if it is given; `None` if older ones than
    /// are kept have to be read from the database.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn after(
        &self,
        database: &Database,
        changes: &Changes,
        namespace: Option<NamespaceId>,
        after: EventId,
        limit: usize,
    ) -> sqlx::Result<Option<Vec<Arc<EventRow>>>> {
        let mut recent = self.recent.lock().await;
        let floor = recent.refresh(database, changes, self.kept).await?;
        if after < floor {
            return Ok(None);
        }
        let first = recent.rows.partition_point(|row| row.id <= after);
        let rows = recent.rows.range(first..);
        let rows = rows.filter(|row| namespace.is_none_or(|wanted| row.namespace_id == wanted));
        Ok(Some(rows.take(limit).cloned().collect()))
    }
}

impl Recent {
    /// Reads the events since the last call, if there may be any, and returns the number before the first kept one.
    async fn refresh(
        &mut self,
        database: &Database,
        changes: &Changes,
        kept: usize,
    ) -> sqlx::Result<EventId> {
        // Before reading: what is committed later has a later version.
        let version = changes.version();
        let floor = match self.floor {
            Some(floor) if self.version == version => return Ok(floor),
            Some(floor) => floor,
            None => events::highest(database.read()).await?,
        };
        let mut newest = self.rows.back().map_or(floor, |row| row.id);
        loop {
            let rows = events::after_any(database.read(), newest, BATCH).await?;
            let Some(last) = rows.last() else {
                break;
            };
            newest = last.id;
            self.rows.extend(rows.into_iter().map(Arc::new));
        }
        let superfluous = self.rows.len().saturating_sub(kept);
        let dropped = self.rows.drain(..superfluous).next_back();
        let floor = dropped.map_or(floor, |row| row.id);
        (self.floor, self.version) = (Some(floor), version);
        Ok(floor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestState;

    const NAMESPACES: &str = "insert into namespace
        (id, name, scope, max_builds, bump, follow_default_s, created_at)
        values (1, 'one', 'transitive', 1, 1, 3600, 1), (2, 'two', 'transitive', 1, 1, 3600, 1)";
    const EVENTS: &str = "insert into event (namespace_id, kind, at)
        values (1, 'build.ready', 1), (2, 'build.ready', 1), (1, 'build.built', 2)";

    /// Returns the numbers of the events after a number.
    async fn ids(
        state: &TestState,
        recent: &RecentEvents,
        namespace: Option<i64>,
        after: i64,
    ) -> Option<Vec<i64>> {
        let namespace = namespace.map(NamespaceId);
        let rows = recent.after(
            &state.database,
            &state.changes,
            namespace,
            EventId(after),
            100,
        );
        let rows = rows.await.unwrap()?;
        Some(rows.iter().map(|row| row.id.0).collect())
    }

    #[tokio::test]
    async fn keeps_events_since_the_first_reading() {
        let state = TestState::new().await;
        state.sql(NAMESPACES).await;
        state.sql(EVENTS).await;
        let recent = RecentEvents::keeping(4);
        assert_eq!(ids(&state, &recent, None, 0).await, None, "older ones");
        assert_eq!(ids(&state, &recent, None, 3).await, Some(vec![]));

        state.sql(EVENTS).await;
        state.changes.notify([NamespaceId(1)]);
        assert_eq!(ids(&state, &recent, None, 3).await, Some(vec![4, 5, 6]));
        assert_eq!(ids(&state, &recent, None, 5).await, Some(vec![6]));
        assert_eq!(ids(&state, &recent, Some(2), 3).await, Some(vec![5]));
        assert_eq!(ids(&state, &recent, Some(2), 5).await, Some(vec![]));

        // Two of six are dropped.
        state.sql(EVENTS).await;
        state.changes.notify([NamespaceId(1)]);
        assert_eq!(ids(&state, &recent, None, 4).await, None);
        assert_eq!(ids(&state, &recent, None, 5).await, Some(vec![6, 7, 8, 9]));
    }

    #[tokio::test(start_paused = true)]
    async fn gathers_longer_with_more_followers() {
        let recent = RecentEvents::default();
        let mut followers = Vec::new();
        for (count, milliseconds) in [(1, 0), (9, 0), (200, 20), (2000, 200)] {
            followers.resize_with(count, || recent.follow());
            let began = tokio::time::Instant::now();
            recent.gather().await;
            let waited = began.elapsed().as_millis();
            assert!(
                (milliseconds..milliseconds + 2).contains(&waited),
                "{count} followers: {waited} ms"
            );
        }
        followers.clear();
        let began = tokio::time::Instant::now();
        recent.gather().await;
        assert_eq!(began.elapsed(), Duration::ZERO);
    }

    #[tokio::test]
    async fn reads_only_after_a_change() {
        let state = TestState::new().await;
        state.sql(NAMESPACES).await;
        let recent = RecentEvents::default();
        assert_eq!(ids(&state, &recent, None, 0).await, Some(vec![]));
        state.sql(EVENTS).await;
        assert_eq!(ids(&state, &recent, None, 0).await, Some(vec![]));
        state.changes.notify([NamespaceId(2)]);
        assert_eq!(ids(&state, &recent, None, 0).await, Some(vec![1, 2, 3]));
    }
}
