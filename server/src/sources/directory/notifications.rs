//! Kernel notifications of changes in the folder.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use notify::{RecursiveMode, Watcher as _};
use tokio::sync::mpsc;

use super::repositories;

/// Watches the folder for new repositories, and the ref folders of each repository.
pub(crate) struct FolderWatcher {
    folder: PathBuf,
    watcher: Option<notify::RecommendedWatcher>,
    watched: BTreeSet<String>,
    has_warned: bool,
}

impl FolderWatcher {
    /// Starts to watch the folder itself; the names of changed repositories go to `sender`.
    pub(crate) fn new(folder: PathBuf, sender: mpsc::UnboundedSender<String>) -> Self {
        let root = folder.clone();
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let Ok(event) = event else { return };
            if event.kind.is_access() {
                return;
            }
            for path in &event.paths {
                if let Some(name) = repository_of(&root, path) {
                    // The receiver is dropped only when the server stops.
                    let _ = sender.send(name);
                }
            }
        });
        let mut this = Self {
            folder,
            watcher: None,
            watched: BTreeSet::new(),
            has_warned: false,
        };
        match watcher {
            Ok(mut watcher) => {
                let watched = watcher.watch(&this.folder, RecursiveMode::NonRecursive);
                this.warn_once(watched);
                this.watcher = Some(watcher);
            }
            Err(error) => this.warn_once(Err(error)),
        }
        this
    }

    /// Watches repositories that are not watched yet, and returns their names.
    pub(crate) fn watch_new(&mut self) -> Vec<String> {
        // Git creates a repository file by file, and not always together with its folder. Each step is watched
        // before the next is looked for, so that the last one cannot be missed.
        for folder in repositories::candidate_folders(&self.folder).unwrap_or_default() {
            for path in [folder.clone(), folder.join(".git")] {
                if let Some(watcher) = &mut self.watcher
                    && path.is_dir()
                {
                    let watched = watcher.watch(&path, RecursiveMode::NonRecursive);
                    self.warn_once(watched);
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
                // Folders below it come and go with branch names that contain a slash.
                .and_then(|()| watcher.watch(&git_dir.join("refs/heads"), RecursiveMode::Recursive))
                // A namespace may build a tag, so a moved tag matters as well.
                .and_then(|()| watcher.watch(&git_dir.join("refs/tags"), RecursiveMode::Recursive));
            if !is_repository_fault(&watched) {
                self.warn_once(watched);
            }
            self.watched.insert(name.clone());
            new.push(name);
        }
        new
    }

    fn warn_once(&mut self, result: notify::Result<()>) {
        if let Err(error) = result
            && !self.has_warned
        {
            self.has_warned = true;
            tracing::warn!(
                error = error.to_string(),
                "cannot watch all source repositories; new commits in the others are found by the periodic \
                 resync (fs.inotify.max_user_watches may be too low)"
            );
        }
    }
}

/// Returns the repository below `root` that a path belongs to.
fn repository_of(root: &Path, path: &Path) -> Option<String> {
    let first = path.strip_prefix(root).ok()?.components().next()?;
    first.as_os_str().to_str().map(str::to_owned)
}

/// Returns whether the repository lacks the ref folders; the scan reports its problem.
fn is_repository_fault(watched: &notify::Result<()>) -> bool {
    match watched {
        Ok(()) => false,
        Err(error) => matches!(error.kind, notify::ErrorKind::PathNotFound),
    }
}
