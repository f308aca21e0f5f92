//! The source repositories: keeps the package index, in memory and in the database, in step with a folder or a
//! GitLab group.

mod catalog;
pub(crate) mod catch_up;
pub(crate) mod directory;
mod events;
pub(crate) mod gitlab;
mod handle;
mod kind;
mod merge_requests;
mod refusals;
mod resolve;
mod srcinfo;
mod status;
mod store;
mod unusable;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use buildbtw_gitlab::Gitlab;
use tokio::sync::mpsc;

pub use catalog::{Catalog, CatalogSnapshot, Head, PARSER};
pub use catch_up::Freshness;
pub use events::SourceEvent;
pub use handle::Sources;
pub use refusals::{broken, is_unusable};
pub use resolve::ResolvedChangeset;
pub use status::{Progress, Snapshot};

use crate::db::{Database, source_progress};
use crate::error::Error;
use crate::outage::{Outage, Pauses};
use crate::wakers::Waker;

use catch_up::CatchUpQueue;
use kind::SourceKind;

/// The location of the source repositories.
pub enum SourceConfig {
    /// Directly below a folder.
    Directory {
        /// The folder.
        folder: PathBuf,
        /// The URL below which workers fetch its repositories, in place of its path.
        clone_base: Option<String>,
        /// The time between full resyncs.
        resync_interval: Duration,
    },
    /// In a GitLab group.
    Gitlab {
        /// The client of the group.
        gitlab: Gitlab,
        /// The time between full resyncs.
        resync_interval: Duration,
    },
}

/// What the watching actor needs to keep the index current.
pub struct Watched(pub(crate) WatchedKind);

/// See [`Watched`].
pub(crate) enum WatchedKind {
    /// A folder.
    Directory(Arc<directory::Directory>),
    /// A GitLab group.
    Group(Arc<gitlab::GitlabGroup>),
}

/// The title of the outage in the log.
const OUTAGE: &str = "cannot read the sources";
/// The pause before a folder is read again after a failure.
const PAUSE_OF_FOLDER: Duration = Duration::from_secs(5);

/// Returns the pauses of the watching actor after failures.
fn pauses(config: &SourceConfig) -> Pauses {
    match config {
        SourceConfig::Directory {
            resync_interval, ..
        } => Pauses::constant(PAUSE_OF_FOLDER.min(*resync_interval)),
        SourceConfig::Gitlab { .. } => gitlab::PAUSES,
    }
}

/// Loads the sources from the database. Returns them with what is to be watched; its changes are sent to `events`.
///
/// # Errors
/// When the database cannot be read.
pub async fn load(
    database: Database,
    config: SourceConfig,
    events: mpsc::UnboundedSender<SourceEvent>,
) -> Result<(Sources, Watched), Error> {
    let outage = Outage::new(OUTAGE, pauses(&config), database.clock());
    let (watched, kind): (_, Arc<dyn SourceKind>) = match config {
        SourceConfig::Directory {
            folder,
            clone_base,
            resync_interval,
        } => {
            let directory = directory::Directory::new(folder, clone_base, resync_interval);
            let directory = Arc::new(directory);
            (WatchedKind::Directory(Arc::clone(&directory)), directory)
        }
        SourceConfig::Gitlab {
            gitlab,
            resync_interval,
        } => {
            let group = Arc::new(gitlab::GitlabGroup::new(gitlab, resync_interval));
            (WatchedKind::Group(Arc::clone(&group)), group)
        }
    };
    let mut tx = database.write().await?;
    let progress = source_progress::begin(&mut tx, &kind.origin()).await?;
    tx.commit().await?;
    let complete = progress.finished_at.is_some();
    let catalog = catalog::load(&database, &kind).await?;
    let status = status::Status::new(complete, outage, database.clock());
    let sources = Sources {
        database,
        catalog: catalog::SharedCatalog::new(catalog),
        kind,
        status,
        events,
        catch_up_queue: CatchUpQueue::default(),
        delivered: Waker::default(),
    };
    Ok((sources, Watched(watched)))
}
