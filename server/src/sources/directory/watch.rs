//! Notices new commits at once, through the kernel's notifications, and looks at everything again on
//! a slow timer in case one was missed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{RecursiveMode, Watcher as _};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, Interval, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::error::Error;

use crate::sources::Sources;
use crate::sources::catch_up::Wanted;

use super::{Directory, repositories};

/// How long to gather notifications: a push writes several files.
const GATHER: Duration = Duration::from_millis(50);

/// How long the kernel may take to tell of a change that has just been made.
const TELLING: Duration = Duration::from_millis(20);
/// When to look again after a look that failed.
const PAUSE_AFTER_ERROR: Duration = Duration::from_secs(5);

/// Keeps the sources current until cancelled. The first full look has ended or failed when `ready` is
/// told; until one has ended, plans are refused.
///
/// # Errors
/// When the database cannot be used. A folder that cannot be watched is only looked at by timer.
pub(super) async fn watch(
    directory: Arc<Directory>,
    sources: Sources,
    ready: oneshot::Sender<()>,
    cancel: CancellationToken,
) -> Result<(), Error> {
    let (sender, mut notifications) = mpsc::unbounded_channel();
    let sweep = directory.sweep;
    let mut watcher = FolderWatcher::new(directory.folder.clone(), sender);
    // Watch first, look then: what changes in between is noticed.
    watcher.watch_new();
    let looked = directory.scan_all(&sources).await;
    let _ = ready.send(());
    let mut timer = tokio::time::interval_at(Instant::now() + sweep, sweep);
    // What a look has missed because something was broken must not wait for the next sweep.
    let again_soon = |timer: &mut Interval, looked: Result<(), Error>| {
        let Err(error) = looked else {
            sources.status.recovered();
            return;
        };
        let text = error.to_string();
        tracing::error!(
            error = text,
            "cannot look at source repositories; tried again in a few seconds"
        );
        sources.status.failed(text.clone(), text);
        timer.reset_after(PAUSE_AFTER_ERROR.min(sweep));
    };
    again_soon(&mut timer, looked);
    timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = cancel.cancelled() => return Ok(()),
            _ = timer.tick() => {
                watcher.watch_new();
                let looked = directory.scan_all(&sources).await;
                again_soon(&mut timer, looked);
            }
            () = sources.catching_up.asked() => {
                let waiting = sources.catching_up.take();
                tokio::time::sleep(TELLING).await;
                let looked = if sources.status().complete {
                    let wanted = names_of(waiting.wanted());
                    scan_changed(&directory, &sources, &mut watcher, &mut notifications, wanted).await
                } else {
                    directory.scan_all(&sources).await
                };
                let outcome = looked.as_ref().map_err(ToString::to_string).copied();
                again_soon(&mut timer, looked);
                waiting.answer(&outcome);
            }
            Some(first) = notifications.recv() => {
                tokio::time::sleep(GATHER).await;
                let changed = BTreeSet::from_iter([first]);
                let looked =
                    scan_changed(&directory, &sources, &mut watcher, &mut notifications, changed).await;
                again_soon(&mut timer, looked);
            }
        }
    }
}

/// What the repositories may be called that have to be read in any case.
fn names_of(wanted: &BTreeSet<Wanted>) -> BTreeSet<String> {
    let pkgbases = wanted.iter().filter_map(|wanted| match wanted {
        Wanted::Pkgbase(pkgbase) => Some(pkgbase),
        // A folder has no projects.
        Wanted::Project(_) => None,
    });
    pkgbases
        .flat_map(|pkgbase| [pkgbase.to_string(), format!("{pkgbase}.git")])
        .collect()
}

/// Looks at everything the kernel has told of.
async fn scan_changed(
    directory: &Arc<Directory>,
    sources: &Sources,
    watcher: &mut FolderWatcher,
    notifications: &mut mpsc::UnboundedReceiver<String>,
    mut changed: BTreeSet<String>,
) -> Result<(), Error> {
    while let Ok(next) = notifications.try_recv() {
        changed.insert(next);
    }
    changed.extend(watcher.watch_new());
    if changed.is_empty() {
        return Ok(());
    }
    directory
        .scan_some(sources, changed.into_iter().collect())
        .await
}

/// Watches the folder for new repositories, and of each repository only where refs are written.
struct FolderWatcher {
    folder: PathBuf,
    watcher: Option<notify::RecommendedWatcher>,
    watched: BTreeSet<String>,
    /// Folders below `refs/heads` come and go with branch names that hold a slash; a recursive
    /// watch on it follows them.
    complained: bool,
}

impl FolderWatcher {
    fn new(folder: PathBuf, sender: mpsc::UnboundedSender<String>) -> Self {
        let root = folder.clone();
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let Ok(event) = event else { return };
            if event.kind.is_access() {
                return;
            }
            for path in &event.paths {
                if let Some(name) = repository_of(&root, path) {
                    // The receiver is gone only when the server stops.
                    let _ = sender.send(name);
                }
            }
        });
        let mut this = Self {
            folder,
            watcher: None,
            watched: BTreeSet::new(),
            complained: false,
        };
        match watcher {
            Ok(mut watcher) => {
                let watched = watcher.watch(&this.folder, RecursiveMode::NonRecursive);
                this.complain_about(watched);
                this.watcher = Some(watcher);
            }
            Err(error) => this.complain_about(Err(error)),
        }
        this
    }

    /// Watches repositories that are not watched yet, and returns their names.
    fn watch_new(&mut self) -> Vec<String> {
        // Git writes a new repository file by file, and not always at once with its folder: each
        // step is watched before the next is looked for, so that the last one cannot be missed.
        for folder in repositories::others(&self.folder).unwrap_or_default() {
            for path in [folder.clone(), folder.join(".git")] {
                if let Some(watcher) = &mut self.watcher
                    && path.is_dir()
                {
                    let watched = watcher.watch(&path, RecursiveMode::NonRecursive);
                    self.complain_about(watched);
                }
            }
        }
        let present = repositories::repositories(&self.folder).unwrap_or_default();
        self.watched
            .retain(|name| present.binary_search(name).is_ok());
        let mut new = Vec::new();
        for name in present {
            if self.watched.contains(&name) {
                continue;
            }
            let Some(watcher) = &mut self.watcher else {
                break;
            };
            let Some(git_dir) = repositories::git_dir(&self.folder.join(&name)) else {
                continue;
            };
            let watched = watcher
                .watch(&git_dir, RecursiveMode::NonRecursive)
                .and_then(|()| watcher.watch(&git_dir.join("refs/heads"), RecursiveMode::Recursive))
                // A tag that moves moves the namespaces that build it.
                .and_then(|()| watcher.watch(&git_dir.join("refs/tags"), RecursiveMode::Recursive));
            if !is_repository_fault(&watched) {
                self.complain_about(watched);
            }
            self.watched.insert(name.clone());
            new.push(name);
        }
        new
    }

    fn complain_about(&mut self, result: notify::Result<()>) {
        if let Err(error) = result
            && !self.complained
        {
            self.complained = true;
            tracing::warn!(
                error = error.to_string(),
                "cannot watch all source repositories; new commits are found by the timer only \
                 (fs.inotify.max_user_watches may be too low)"
            );
        }
    }
}

/// The repository below `root` that a path belongs to.
fn repository_of(root: &Path, path: &Path) -> Option<String> {
    let first = path.strip_prefix(root).ok()?.components().next()?;
    first.as_os_str().to_str().map(str::to_owned)
}

/// A repository without branches has nothing to watch; the scan says what is wrong with it.
fn is_repository_fault(watched: &notify::Result<()>) -> bool {
    match watched {
        Ok(()) => false,
        Err(error) => matches!(error.kind, notify::ErrorKind::PathNotFound),
    }
}
