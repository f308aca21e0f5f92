//! Watches a folder of git repositories: reads repositories when the kernel reports a change, and all of them at a
//! long interval in case a notification was lost.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use buildbtw_model::BackgroundTask;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::runner::{Actor, Cause, Next};
use crate::error::Error;
use crate::outage::Failure;
use crate::sources::Sources;
use crate::sources::catch_up::Wanted;
use crate::sources::directory::{Directory, FolderWatcher};

/// How long notifications are collected: a push writes several files.
const DEBOUNCE: Duration = Duration::from_millis(50);
/// How long the kernel may take to deliver a notification.
const NOTIFICATION_DELAY: Duration = Duration::from_millis(20);

/// The actor that watches a folder. `ready` is sent when the first full scan has ended or failed; until one
/// succeeds, plans are refused. A folder that cannot be watched is read at the interval only.
pub(crate) struct DirectoryWatching {
    directory: Arc<Directory>,
    sources: Sources,
    ready: Option<oneshot::Sender<()>>,
    watcher: FolderWatcher,
    notifications: mpsc::UnboundedReceiver<String>,
    next_resync: Instant,
}

/// Why repositories are read.
pub(crate) enum Event {
    /// A request waits for a current index.
    Requested,
    /// The kernel reported a change in this repository.
    Changed(String),
}

impl DirectoryWatching {
    pub(crate) fn new(
        directory: Arc<Directory>,
        sources: Sources,
        ready: Option<oneshot::Sender<()>>,
    ) -> Self {
        let (sender, notifications) = mpsc::unbounded_channel();
        Self {
            watcher: FolderWatcher::new(directory.path().to_owned(), sender),
            next_resync: Instant::now(),
            directory,
            sources,
            ready,
            notifications,
        }
    }

    /// Reads all repositories.
    async fn resync(&mut self) -> Result<(), Error> {
        // Watch first, then read, so that no change in between is missed.
        self.watcher.watch_new();
        let read = self.directory.scan_all(&self.sources).await;
        self.next_resync = Instant::now() + self.directory.resync_interval();
        read
    }

    /// Reads what requests wait for, and completes them.
    async fn catch_up(&mut self) -> Result<(), Error> {
        let waiting = self.sources.catch_up_queue.take();
        tokio::time::sleep(NOTIFICATION_DELAY).await;
        let read = if self.sources.status().complete {
            self.scan_changed(repository_names(waiting.wanted())).await
        } else {
            self.directory.scan_all(&self.sources).await
        };
        waiting.complete(&read.as_ref().map_err(ToString::to_string).copied());
        read
    }

    /// Reads the repositories with notifications, new ones, and `changed`.
    async fn scan_changed(&mut self, mut changed: BTreeSet<String>) -> Result<(), Error> {
        while let Ok(next) = self.notifications.try_recv() {
            changed.insert(next);
        }
        changed.extend(self.watcher.watch_new());
        if changed.is_empty() {
            return Ok(());
        }
        let changed = changed.into_iter().collect();
        self.directory.scan_some(&self.sources, changed).await
    }
}

impl Actor for DirectoryWatching {
    const TASK: BackgroundTask = BackgroundTask::SourceWatching;
    type Event = Event;

    async fn event(&mut self) -> Event {
        tokio::select! {
            () = self.sources.catch_up_queue.requested() => Event::Requested,
            Some(changed) = self.notifications.recv() => Event::Changed(changed),
        }
    }

    async fn turn(&mut self, cause: Cause<Event>) -> Result<Next, Failure> {
        let read = match cause {
            Cause::Start | Cause::Timer => self.resync().await,
            Cause::Event(Event::Requested) => self.catch_up().await,
            Cause::Event(Event::Changed(first)) => {
                tokio::time::sleep(DEBOUNCE).await;
                self.scan_changed(BTreeSet::from_iter([first])).await
            }
        };
        if let Some(ready) = self.ready.take() {
            // The receiver is gone only when the server stops.
            let _ = ready.send(());
        }
        if read.is_err() {
            // Changes that were missed during a failure must not wait for the next resync.
            self.next_resync = Instant::now();
        }
        read?;
        Ok(Next::at(self.next_resync))
    }
}

/// Returns the possible names of the repositories that must be read.
fn repository_names(wanted: &BTreeSet<Wanted>) -> BTreeSet<String> {
    let pkgbases = wanted.iter().filter_map(|wanted| match wanted {
        Wanted::Pkgbase(pkgbase) => Some(pkgbase),
        // A folder has no GitLab projects.
        Wanted::Project(_) => None,
    });
    pkgbases
        .flat_map(|pkgbase| [pkgbase.to_string(), format!("{pkgbase}.git")])
        .collect()
}
