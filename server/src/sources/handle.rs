//! The handle of a server's source repositories.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use buildbtw_model::Pkgbase;
use tokio::sync::mpsc;

use crate::db::source_repositories::SourceRepositoryRow;
use crate::db::{Database, namespaces};
use crate::error::Error;
use crate::outage::Outage;
use crate::wakers::Waker;

use super::catalog::{Catalog, CatalogSnapshot, SharedCatalog};
use super::catch_up::{CatchUpQueue, Freshness, Wanted};
use super::events::SourceEvent;
use super::kind::SourceKind;
use super::status::{Snapshot, Status};

/// The maximum time for which a request waits for a current index.
const CATCH_UP_TIMEOUT: Duration = Duration::from_secs(5);

/// The source repositories of a server. Cheap to clone.
#[derive(Clone)]
pub struct Sources {
    pub(super) database: Database,
    pub(super) catalog: SharedCatalog,
    pub(super) kind: Arc<dyn SourceKind>,
    pub(super) status: Status,
    pub(super) events: mpsc::UnboundedSender<SourceEvent>,
    /// Requests that wait for a current index.
    pub(crate) catch_up_queue: CatchUpQueue,
    /// Wakes the watching actor when a webhook was stored.
    pub(crate) delivered: Waker,
}

impl Sources {
    /// Returns the name of the sources for pages and messages.
    #[must_use]
    pub fn title(&self) -> String {
        self.kind.title()
    }

    /// Returns the state of watching the sources.
    #[must_use]
    pub fn status(&self) -> Snapshot {
        self.status.snapshot()
    }

    /// Returns the outage of reading the sources.
    pub(crate) fn outage(&self) -> &Outage {
        self.status.outage()
    }

    /// Clears the progress of a full resync that has ended.
    pub(crate) fn resync_ended(&self) {
        self.status.resync_ended();
    }

    /// Returns the database of the server.
    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    /// Wakes the watching actor because a webhook was stored.
    pub fn wake_for_webhook(&self) {
        self.delivered.wake();
    }

    /// Sends an event. The receiver is dropped only when the server stops.
    pub(crate) fn emit(&self, event: SourceEvent) {
        let _ = self.events.send(event);
    }

    /// Waits until the index contains everything that was pushed before this call, and re-reads the repositories of
    /// the given pkgbases. Times out early; the next poll finds what this misses.
    pub async fn catch_up(&self, pkgbases: &[Pkgbase]) -> Freshness {
        let wanted = pkgbases.iter().cloned().map(Wanted::Pkgbase);
        self.catch_up_with(wanted).await
    }

    pub(super) async fn catch_up_with(
        &self,
        wanted: impl IntoIterator<Item = Wanted>,
    ) -> Freshness {
        let caught_up = self.catch_up_queue.request(wanted);
        let outcome = tokio::time::timeout(CATCH_UP_TIMEOUT, caught_up).await;
        let too_long = || {
            Err(format!(
                "it took longer than {} seconds",
                CATCH_UP_TIMEOUT.as_secs()
            ))
        };
        match outcome.unwrap_or_else(|_| too_long()) {
            Ok(()) => Freshness::Current,
            Err(reason) => {
                let status = self.status();
                Freshness::Stale {
                    as_of: status.last_poll.max(status.last_scan),
                    reason,
                }
            }
        }
    }

    /// Returns the packages that may be affected by these repositories: those in them, and for unusable
    /// repositories the origins that would be in them.
    pub(super) async fn pkgbases_of(
        &self,
        repositories: &[SourceRepositoryRow],
    ) -> Result<BTreeSet<Pkgbase>, Error> {
        let (usable, broken): (Vec<_>, Vec<_>) = repositories
            .iter()
            .partition(|row| row.problem.is_none() && row.pkgbase.is_some());
        let mut pkgbases: BTreeSet<_> = usable
            .into_iter()
            .filter_map(|row| row.pkgbase.clone())
            .collect();
        if !broken.is_empty() {
            let origins = namespaces::origin_pkgbases(self.database.read()).await?;
            let is_there = |origin: &Pkgbase| {
                let mut broken = broken.iter();
                broken.any(|row| self.kind.name_problem(&row.path, origin).is_none())
            };
            pkgbases.extend(origins.into_iter().filter(is_there));
        }
        Ok(pkgbases)
    }

    /// Returns a snapshot of the package index, for long reads.
    #[must_use]
    pub fn catalog_snapshot(&self) -> CatalogSnapshot {
        self.catalog.snapshot()
    }

    /// Runs a function over the package index. It must be short and must not block, because changes wait for it.
    pub fn with_catalog<T>(&self, read: impl FnOnce(&Catalog) -> T) -> T {
        self.catalog.read(read)
    }
}
