//! Where packages come from, and what is known about them: keeps the package index in memory and in
//! the database current with the source repositories.

mod catalog;
mod catch_up;
mod directory;
mod gitlab;
mod kind;
mod refusals;
mod resolve;
mod status;
mod store;
mod unusable;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use buildbtw_model::Pkgbase;
use buildbtw_planner::IndexChange;
use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

pub use catalog::{Catalog, CatalogSnapshot, Head, PARSER};
pub use refusals::{broken, is_unusable};
pub use resolve::ResolvedChangeset;
pub use status::{Progress, Snapshot, Trouble};

use crate::db::source_repositories::SourceRepositoryRow;
use crate::db::{Database, NamespaceId, namespaces, source_progress};
use crate::error::Error;
use buildbtw_gitlab::Gitlab;
use catalog::SharedCatalog;
use catch_up::{CatchUpDesk, Wanted};
use kind::SourceKind;
use status::Status;

/// How long a request waits for changes that are being read.
const CATCH_UP_AT_MOST: Duration = Duration::from_secs(5);

/// Where the source repositories are.
pub enum SourceConfig {
    /// Directly below a folder.
    Directory {
        /// The folder.
        folder: PathBuf,
        /// The time between full looks.
        sweep: Duration,
    },
    /// In a group of a GitLab.
    Gitlab {
        /// The GitLab and its group.
        gitlab: Gitlab,
        /// The time between full looks.
        sweep: Duration,
    },
}

/// The source repositories of a server. Cheap to clone.
#[derive(Clone)]
pub struct Sources {
    database: Database,
    catalog: SharedCatalog,
    kind: Arc<dyn SourceKind>,
    status: Status,
    events: mpsc::UnboundedSender<SourceEvent>,
    catching_up: CatchUpDesk,
    /// Wakes the watch when a webhook was stored.
    delivered: Arc<tokio::sync::Notify>,
}

/// What happened in the sources.
#[derive(Debug)]
pub enum SourceEvent {
    /// Refs of these packages' repositories may have moved.
    Touched(BTreeSet<Pkgbase>),
    /// The index changed.
    Indexed(Vec<IndexChange>),
    /// Everything was looked at again.
    Swept,
    /// The index changed while this namespace was planned.
    Missed(NamespaceId),
}

/// How new the index is.
#[derive(Clone, Debug)]
pub enum Freshness {
    /// It holds everything that was pushed before somebody asked.
    Current,
    /// The sources could not be read in time.
    Stale {
        /// When they were last read.
        as_of: Option<Timestamp>,
        /// Why not now.
        reason: String,
    },
}

impl Freshness {
    /// Why the index may lack something; nothing when it does not.
    pub(super) fn reason(&self) -> Option<&str> {
        match self {
            Self::Current => None,
            Self::Stale { reason, .. } => Some(reason),
        }
    }

    /// What a plan made of an older index says about itself; nothing when it is not older.
    #[must_use]
    pub fn note(&self) -> Option<String> {
        let Self::Stale { as_of, reason } = self else {
            return None;
        };
        let age = as_of.map_or_else(
            || "as they were when the server stopped".to_owned(),
            |at| format!("as they were at {at:.0}"),
        );
        Some(format!(
            "the sources could not be read just now ({reason}); this plan was made of them {age}"
        ))
    }
}

impl Sources {
    /// The sources, as far as the database knows them. Look at them afresh with [`Self::watch`];
    /// what it finds is told to `events`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn load(
        database: Database,
        config: SourceConfig,
        events: mpsc::UnboundedSender<SourceEvent>,
    ) -> Result<Self, Error> {
        let kind: Arc<dyn SourceKind> = match config {
            SourceConfig::Directory { folder, sweep } => {
                Arc::new(directory::Directory::new(folder, sweep))
            }
            SourceConfig::Gitlab { gitlab, sweep } => {
                Arc::new(gitlab::GitlabGroup::new(gitlab, sweep))
            }
        };
        let mut tx = database.write().await?;
        let progress = source_progress::begin(&mut tx, &kind.origin()).await?;
        tx.commit().await?;
        let complete = progress.finished_at.is_some();
        let catalog = catalog::load(&database, &kind).await?;
        Ok(Self {
            database,
            catalog: SharedCatalog::new(catalog),
            kind,
            status: Status::new(complete),
            events,
            catching_up: CatchUpDesk::default(),
            delivered: Arc::default(),
        })
    }

    /// Keeps the sources current until cancelled. `ready` is told when requests can be answered.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn watch(
        self,
        ready: oneshot::Sender<()>,
        cancel: CancellationToken,
    ) -> Result<(), Error> {
        let kind = Arc::clone(&self.kind);
        kind.watch(self, ready, cancel).await
    }

    /// What the sources are, in words.
    #[must_use]
    pub fn title(&self) -> String {
        self.kind.title()
    }

    /// How watching them goes.
    #[must_use]
    pub fn status(&self) -> Snapshot {
        self.status.snapshot()
    }

    /// Tells the watch that a webhook was stored.
    pub fn wake_for_webhook(&self) {
        self.delivered.notify_one();
    }

    /// Tells what happened; whoever listens is gone only when the server stops.
    fn tell(&self, event: SourceEvent) {
        let _ = self.events.send(event);
    }

    /// Waits until everything that was pushed before this call is in the index, and reads the repositories
    /// of some pkgbases again whatever was told of them. Not for long: what this misses is found by the
    /// next poll.
    pub async fn catch_up(&self, pkgbases: &[Pkgbase]) -> Freshness {
        let wanted = pkgbases.iter().cloned().map(Wanted::Pkgbase);
        self.catch_up_with(wanted).await
    }

    async fn catch_up_with(&self, wanted: impl IntoIterator<Item = Wanted>) -> Freshness {
        let caught_up = self.catching_up.ask(wanted);
        let outcome = tokio::time::timeout(CATCH_UP_AT_MOST, caught_up).await;
        let too_long = || {
            Err(format!(
                "it takes longer than {} seconds",
                CATCH_UP_AT_MOST.as_secs()
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

    /// The packages that some repositories may be built for: those in them, and where that is not known,
    /// origins that are looked for there.
    async fn pkgbases_of(
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
                broken.any(|row| self.kind.misnamed(&row.path, origin).is_none())
            };
            pkgbases.extend(origins.into_iter().filter(is_there));
        }
        Ok(pkgbases)
    }

    /// The package index as it is now, for whoever reads it for long.
    #[must_use]
    pub fn catalog_snapshot(&self) -> CatalogSnapshot {
        self.catalog.snapshot()
    }

    /// Runs a function over the package index. Do not wait for anything inside, and do not take long: changes
    /// wait for it.
    pub fn with_catalog<T>(&self, read: impl FnOnce(&Catalog) -> T) -> T {
        self.catalog.read(read)
    }
}
