//! The databases that list files, too. Only `pacman -F` reads them and they are many times larger,
//! so they follow a little later, except at the end of an iteration or when somebody asks.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use buildbtw_model::Pkgname;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::app_state::AppState;
use crate::db::packages::{self, Candidate};
use crate::db::{Database, IterationId, iterations, namespaces};
use crate::error::Error;
use crate::inbox::Inbox;
use crate::repos::choice::Rivals;
use crate::repos::database::{DatabaseWriter, Entry};
use crate::repos::{Rendering, Repos, RepositoryKey, Turn};

/// How long they may lag behind, at least.
const LAG: Duration = Duration::from_secs(2);
/// And how much longer than writing them takes, so that large ones take a small part of the time.
const LAG_PER_WORK: u32 = 50;

/// Keeps the databases with file lists up to date.
#[derive(Clone, Default)]
pub struct FileLists {
    inbox: Inbox<Outdated>,
    writing: Arc<tokio::sync::Mutex<()>>,
}

type Outdated = (RepositoryKey, IterationId);

impl FileLists {
    /// Says that a repository holds more than its file lists tell.
    pub fn outdated(&self, key: RepositoryKey, iteration: IterationId) {
        self.inbox.send((key, iteration));
    }

    /// Writes what is outdated until cancelled, and the rest then. Runs once.
    pub async fn run(self, state: AppState, cancel: CancellationToken) {
        let Some(mut receiver) = self.inbox.take() else {
            return;
        };
        let mut waiting: BTreeMap<RepositoryKey, (IterationId, Instant)> = BTreeMap::new();
        let mut lag = LAG;
        while !cancel.is_cancelled() {
            let next = waiting.values().map(|(_, at)| *at).min();
            let pause = async {
                match next {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = cancel.cancelled() => {}
                () = pause => {
                    let due = Instant::now();
                    lag = LAG;
                    for (key, (iteration, at)) in std::mem::take(&mut waiting) {
                        if at <= due {
                            let began = Instant::now();
                            update_and_report(&state, &key, iteration).await;
                            lag = lag.max(began.elapsed() * LAG_PER_WORK);
                        } else {
                            waiting.insert(key, (iteration, at));
                        }
                    }
                }
                outdated = receiver.recv() => if let Some((key, iteration)) = outdated {
                    // A namespace of the same name may have been made anew.
                    let known = waiting.get(&key).map(|(_, at)| *at);
                    let at = known.unwrap_or_else(|| Instant::now() + lag);
                    waiting.insert(key, (iteration, at));
                }
            }
        }
        while let Ok((key, iteration)) = receiver.try_recv() {
            waiting.insert(key, (iteration, Instant::now()));
        }
        for (key, (iteration, _)) in waiting {
            update_and_report(&state, &key, iteration).await;
        }
    }
}

async fn update_and_report(state: &AppState, key: &RepositoryKey, iteration: IterationId) {
    if let Err(error) = update(state, key, iteration).await {
        tracing::error!(
            error = error.to_string(),
            namespace.name = key.namespace.as_str(),
            architecture = key.architecture.as_str(),
            "cannot write the file lists of a repository; they stay as they are"
        );
    }
}

/// Brings the file lists of a repository up to date, if they are not.
///
/// # Errors
/// When the database or the disk refuses.
pub async fn update(
    state: &AppState,
    key: &RepositoryKey,
    iteration: IterationId,
) -> Result<(), Error> {
    // One at a time: two could each take the other's file for their own, and are a lot of work.
    let _alone = state.file_lists.writing.lock().await;
    let repos = &state.repos;
    // Looked at first: what is published from now on makes them outdated again.
    let Some(written) = modified(&repos.database(key))? else {
        return Ok(());
    };
    if modified(&repos.file_lists(key))? == Some(written) {
        return Ok(());
    }
    let turn = repos.turn_to_render(Rendering::FileLists).await?;
    let rows = packages::of_repository(state.database.read(), iteration, &key.architecture).await?;
    let content = with_files(&state.database, listed(&rows), turn).await?;
    let (repos, key) = (repos.clone(), key.clone());
    tokio::task::spawn_blocking(move || {
        repos.replace_at(&repos.file_lists(&key), &content, written)
    })
    .await??;
    Ok(())
}

/// Looks for file lists that a crash has left behind.
///
/// # Errors
/// When the database or the disk refuses.
pub async fn recover(state: &AppState) -> Result<(), Error> {
    let reader = state.database.read();
    for namespace in namespaces::all(reader).await? {
        for iteration in iterations::of_namespace(reader, namespace.id).await? {
            for architecture in &state.config.architectures {
                let key = RepositoryKey {
                    namespace: namespace.name.clone(),
                    iteration: iteration.number,
                    architecture: architecture.clone(),
                };
                if modified(&state.repos.database(&key))?
                    != modified(&state.repos.file_lists(&key))?
                {
                    state.file_lists.outdated(key, iteration.id);
                }
            }
        }
    }
    Ok(())
}

fn modified(path: &Path) -> io::Result<Option<std::time::SystemTime>> {
    match fs_err::metadata(path) {
        Ok(metadata) => Ok(Some(metadata.modified()?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The database with file lists of some packages. Lists of files may be large, so there is only one
/// in memory at a time.
///
/// # Errors
/// When the database refuses, or memory runs out.
pub(crate) async fn with_files(
    database: &Database,
    rows: Vec<&Candidate>,
    turn: Turn,
) -> Result<Vec<u8>, Error> {
    let mut writer = DatabaseWriter::new()?;
    for row in rows {
        let entries = packages::entries(database.read(), row.attempt, &row.file_name).await?;
        let gone = || Error::not_found(format!("package '{}' any more", row.file_name));
        let entries = entries.ok_or_else(gone)?;
        let (name, version) = (row.pkgname.clone(), row.version.clone());
        let append = move || {
            writer.append(&Entry {
                name: &name,
                version: &version,
                desc: &entries.desc,
                files: Some(&entries.files),
            })?;
            io::Result::Ok(writer)
        };
        writer = tokio::task::spawn_blocking(append).await??;
    }
    let content = tokio::task::spawn_blocking(|| writer.finish()).await??;
    drop(turn);
    Ok(content)
}

/// What a repository lists of its packages, sorted by name.
#[must_use]
pub fn listed(rows: &[Candidate]) -> Vec<&Candidate> {
    let mut named: BTreeMap<&Pkgname, Rivals<&Candidate>> = BTreeMap::new();
    for row in rows {
        named.entry(&row.pkgname).or_default().add(row);
    }
    let listed = named.values().filter_map(Rivals::listed);
    listed.copied().collect()
}

/// Replaces both databases of a repository by what its rows say. Blocking.
///
/// # Errors
/// When the disk refuses.
pub(crate) fn replace_both(
    repos: &Repos,
    key: &RepositoryKey,
    database: &[u8],
    file_lists: &[u8],
) -> io::Result<()> {
    repos.replace(&repos.database(key), database)?;
    repos.replace(&repos.file_lists(key), file_lists)
}
