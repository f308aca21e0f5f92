//! Follows the events of one namespace or of all.

use std::collections::BTreeSet;
use std::sync::Arc;

use buildbtw_model::api::{Event, ProblemKind};
use buildbtw_model::{EventId, EventKind, NamespaceName, Pkgbase, saturating};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::changes::Changes;
use crate::db::events::{self, EventRow};
use crate::db::{Database, NamespaceId};
use crate::error::{Error, Refusal};
use crate::state::parts::EventParts;
use crate::state::recent_events::{Following, RecentEvents};

use super::find::find_namespace;

/// The number of events read at once.
const BATCH: usize = 100;

/// The events to return. An empty set excludes none.
#[derive(Clone, Debug, Default)]
pub struct EventFilter {
    /// The namespaces.
    pub namespaces: BTreeSet<NamespaceName>,
    /// The kinds, or their first parts: `build` includes `build.built`.
    pub kinds: BTreeSet<String>,
    /// The source packages. Events that are about no build are excluded.
    pub packages: BTreeSet<Pkgbase>,
}

impl EventFilter {
    fn includes(&self, row: &EventRow) -> bool {
        let package = |packages: &BTreeSet<Pkgbase>| {
            let pkgbase = row.pkgbase.as_ref();
            pkgbase.is_some_and(|pkgbase| packages.contains(pkgbase))
        };
        (self.namespaces.is_empty() || self.namespaces.contains(&row.namespace))
            && (self.packages.is_empty() || package(&self.packages))
            && (self.kinds.is_empty() || self.includes_kind(&row.kind))
    }

    fn includes_kind(&self, kind: &EventKind) -> bool {
        self.kinds.iter().any(|wanted| kind.begins_with(wanted))
    }
}

/// A follower of events.
pub struct EventFollower {
    database: Database,
    recent: RecentEvents,
    all_changes: Changes,
    shutdown: CancellationToken,
    /// The namespace; all if absent.
    namespace: Option<NamespaceId>,
    filter: EventFilter,
    last: EventId,
    changes: watch::Receiver<u64>,
    /// Events that were read but not returned yet, the next one last. They are shared with all followers.
    pending: Vec<Arc<EventRow>>,
    _counted: Following,
}

impl EventFollower {
    /// Starts to follow a namespace after the event with this number; without one, from now on.
    ///
    /// # Errors
    /// When there is no such namespace, or the event is not one of it.
    pub async fn begin(
        parts: EventParts<'_>,
        name: &NamespaceName,
        after: Option<EventId>,
    ) -> Result<Self, Error> {
        let namespace = find_namespace(parts.database, name).await?.id;
        let changes = parts.changes.subscribe(namespace);
        let reader = parts.database.read();
        let last = match after {
            Some(number) => {
                check_number(parts.database, number).await?;
                let owner = events::namespace_of(reader, number).await?;
                if owner.is_some_and(|owner| owner != namespace) {
                    let title = format!("event {number} is of another namespace than `{name}`");
                    return Err(Refusal::new(ProblemKind::InvalidRequest, title)
                        .hint("continue with an event of this stream, or follow /api/v1/events")
                        .into());
                }
                number
            }
            None => events::last(reader, namespace).await?,
        };
        let filter = EventFilter::default();
        Ok(Self::new(parts, Some(namespace), filter, last, changes))
    }

    /// Starts to follow all namespaces after the event with this number; without one, from now on.
    ///
    /// # Errors
    /// When the event is unknown, or the filter names a namespace that does not exist.
    pub async fn begin_all(
        parts: EventParts<'_>,
        filter: EventFilter,
        after: Option<EventId>,
    ) -> Result<Self, Error> {
        for name in &filter.namespaces {
            find_namespace(parts.database, name).await?;
        }
        let changes = parts.changes.subscribe_to_all();
        let last = match after {
            Some(number) => {
                check_number(parts.database, number).await?;
                number
            }
            None => events::highest(parts.database.read()).await?,
        };
        Ok(Self::new(parts, None, filter, last, changes))
    }

    fn new(
        parts: EventParts<'_>,
        namespace: Option<NamespaceId>,
        filter: EventFilter,
        last: EventId,
        changes: watch::Receiver<u64>,
    ) -> Self {
        Self {
            database: parts.database.clone(),
            recent: parts.recent_events.clone(),
            all_changes: parts.changes.clone(),
            shutdown: parts.shutdown.clone(),
            namespace,
            filter,
            last,
            changes,
            pending: Vec::new(),
            _counted: parts.recent_events.follow(),
        }
    }

    /// Waits for the next event; `None` when the server shuts down or the database cannot be read.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(row) = self.pending.pop() {
                return Some(event(&row));
            }
            self.changes.mark_unchanged();
            match self.read().await {
                Ok(false) => {}
                Ok(true) => continue,
                Err(error) => {
                    tracing::error!(error = error.to_string(), "cannot read events");
                    return None;
                }
            }
            let (changes, recent) = (&mut self.changes, &self.recent);
            let changed = async {
                changes.changed().await.ok()?;
                recent.gather().await;
                Some(())
            };
            tokio::select! {
                changed = changed => changed?,
                () = self.shutdown.cancelled() => return None,
            }
        }
    }

    /// Reads the next events, and returns whether there were any, even if the filter excludes them.
    async fn read(&mut self) -> sqlx::Result<bool> {
        let rows = self.rows().await?;
        let Some(newest) = rows.last() else {
            return Ok(false);
        };
        self.last = newest.id;
        self.pending = rows;
        self.pending.retain(|row| self.filter.includes(row));
        self.pending.reverse();
        Ok(true)
    }

    /// Returns the next rows, from memory if it has all of them.
    async fn rows(&self) -> sqlx::Result<Vec<Arc<EventRow>>> {
        let (database, changes) = (&self.database, &self.all_changes);
        let recent = &self.recent;
        let recent = recent.after(database, changes, self.namespace, self.last, BATCH);
        if let Some(rows) = recent.await? {
            return Ok(rows);
        }
        let (reader, limit) = (database.read(), saturating(BATCH));
        let rows = match self.namespace {
            Some(namespace) => events::after(reader, namespace, self.last, limit).await?,
            None => events::after_any(reader, self.last, limit).await?,
        };
        Ok(rows.into_iter().map(Arc::new).collect())
    }
}

/// Refuses a number that no event of this server has had: a stream after it would silently skip events.
async fn check_number(database: &Database, number: EventId) -> Result<(), Error> {
    let highest = events::highest(database.read()).await?;
    if (0..=highest.0).contains(&number.0) {
        return Ok(());
    }
    let title = format!("event {number} was not sent by this server");
    Err(Refusal::new(ProblemKind::InvalidRequest, title)
        .detail(format!("its newest event is {highest}"))
        .hint("read the current state, then follow without `Last-Event-ID`")
        .into())
}

fn event(row: &EventRow) -> Event {
    Event {
        id: row.id,
        namespace: row.namespace.clone(),
        kind: row.kind.clone(),
        iteration: row.iteration,
        build: row.build,
        pkgbase: row.pkgbase.clone(),
        architecture: row.architecture.clone(),
        attempt: row.attempt,
        actor: row.actor.clone(),
        message: row.message.clone(),
        hint: row.hint.clone(),
        at: row.at.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(wanted: &[&str]) -> EventFilter {
        EventFilter {
            kinds: wanted.iter().map(|kind| (*kind).to_owned()).collect(),
            ..EventFilter::default()
        }
    }

    #[test]
    fn includes_kinds_by_their_first_parts() {
        for (wanted, kind, expected) in [
            ("build", "build.built", true),
            ("build.built", "build.built", true),
            ("attempt.failed", "attempt.failed.package", true),
            ("build", "builder.left", false),
            ("build.b", "build.built", false),
            ("iteration", "build.built", false),
        ] {
            let included = kinds(&[wanted]).includes_kind(&EventKind::from(kind));
            assert_eq!(included, expected, "{wanted}: {kind}");
        }
    }
}
