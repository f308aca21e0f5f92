//! Puts accepted packages into the repositories, and only then calls their builds built. One task
//! does all of it: builds that end at about the same time share one new database.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use buildbtw_model::{BuildId, PackageFileName};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::app_state::AppState;
use crate::db::attempts;
use crate::db::builds::{self, BuildRow};
use crate::db::packages::{self, PackageRow};
use crate::error::Error;
use crate::repos::database::{Entry, render};
use crate::repos::{Repos, RepositoryKey, sync_folder};

use super::report_outcome::repository_of;
use super::transitions::Transition;

/// Accepts builds to publish.
#[derive(Clone)]
pub struct Publisher {
    sender: mpsc::UnboundedSender<Job>,
    receiver: Arc<Mutex<Option<mpsc::UnboundedReceiver<Job>>>>,
}

struct Job {
    build: BuildId,
    /// Told when the build is published, or that it could not be.
    done: Option<oneshot::Sender<bool>>,
}

impl Default for Publisher {
    fn default() -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        Self {
            sender,
            receiver: Arc::new(Mutex::new(Some(receiver))),
        }
    }
}

impl Publisher {
    /// Publishes a build whose packages were accepted, and waits for it.
    ///
    /// # Errors
    /// When it could not be published now. Nothing is lost: asking again tries again.
    pub async fn publish(&self, build: BuildId) -> Result<(), Error> {
        let (done, published) = oneshot::channel();
        let _ = self.sender.send(Job {
            build,
            done: Some(done),
        });
        if published.await.unwrap_or(false) {
            Ok(())
        } else {
            Err(anyhow::anyhow!("build {build} is accepted but could not be published yet").into())
        }
    }

    /// Publishes a build without waiting for it.
    pub fn enqueue(&self, build: BuildId) {
        // The receiver is gone only when the server stops; the next start publishes it.
        let _ = self.sender.send(Job { build, done: None });
    }

    /// Publishes what is asked for until cancelled. Runs once.
    pub async fn run(self, state: AppState, cancel: CancellationToken) {
        let receiver = self
            .receiver
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(mut receiver) = receiver else { return };
        loop {
            let first = tokio::select! {
                () = cancel.cancelled() => return,
                job = receiver.recv() => job,
            };
            let Some(first) = first else { return };
            let mut jobs = vec![first];
            while let Ok(job) = receiver.try_recv() {
                jobs.push(job);
            }
            let failed = publish_all(&state, &mut jobs).await;
            for job in jobs {
                let published = !failed.contains(&job.build);
                if let Some(done) = job.done {
                    // Whoever asked may be gone.
                    let _ = done.send(published);
                }
            }
        }
    }
}

/// Publishes the builds of some jobs, repository by repository; returns those that failed.
async fn publish_all(state: &AppState, jobs: &mut [Job]) -> Vec<BuildId> {
    let mut failed = Vec::new();
    let mut groups: BTreeMap<RepositoryKey, Vec<BuildRow>> = BTreeMap::new();
    for job in jobs {
        match builds::by_id(state.database.read(), job.build).await {
            Ok(Some(build)) if build.status.has_packages() => {}
            Ok(Some(build)) => groups.entry(repository_of(&build)).or_default().push(build),
            Ok(None) => failed.push(job.build),
            Err(error) => {
                tracing::error!(error = error.to_string(), "cannot read a build to publish");
                failed.push(job.build);
            }
        }
    }
    for (key, mut group) in groups {
        group.sort_by_key(|build| build.id);
        group.dedup_by_key(|build| build.id);
        if let Err(error) = publish_group(state, &key, &group).await {
            tracing::error!(
                error = error.to_string(),
                namespace.name = key.namespace.as_str(),
                architecture = key.architecture.as_str(),
                "cannot publish packages; the reports are answered with an error and come again"
            );
            failed.extend(group.iter().map(|build| build.id));
        }
    }
    failed
}

async fn publish_group(
    state: &AppState,
    key: &RepositoryKey,
    group: &[BuildRow],
) -> Result<(), Error> {
    let mut links: Vec<(PathBuf, PackageFileName)> = Vec::new();
    for build in group {
        links.extend(package_files(state, build).await?);
    }
    let iteration = group.first().map(|build| build.iteration_id);
    let Some(iteration) = iteration else {
        return Ok(());
    };
    let rows = packages::of_repository(state.database.read(), iteration, &key.architecture).await?;
    write_repository(state, key, links, rows).await?;
    let mut transition = Transition::begin(&state.database).await?;
    for build in group {
        transition.published(build).await?;
    }
    let effects = transition.commit().await?;
    for build in group {
        if let Some(attempt) = build.packages_attempt_id {
            // Linked into the repository; a folder that stays is removed with its namespace.
            let _ = fs_err::tokio::remove_dir_all(state.repos.uploads(attempt)).await;
        }
    }
    state.announce(effects);
    Ok(())
}

/// Where the packages of a build lie now: among the uploads, or in the repository of the build that
/// made them.
async fn package_files(
    state: &AppState,
    build: &BuildRow,
) -> Result<Vec<(PathBuf, PackageFileName)>, Error> {
    let reader = state.database.read();
    let Some(attempt) = build.packages_attempt_id else {
        return Ok(Vec::new());
    };
    // Reused packages lie in the repository of the build that made them.
    let source = match attempts::by_id(reader, attempt).await? {
        Some(attempt) if attempt.build != build.id => builds::by_id(reader, attempt.build).await?,
        _ => None,
    };
    let own = state.repos.folder(&repository_of(build));
    let uploads = state.repos.uploads(attempt);
    let mut files = Vec::new();
    for package in packages::of_attempt(reader, attempt).await? {
        let name = package.file_name.as_str();
        let candidates = [
            Some(uploads.join(name)),
            source
                .as_ref()
                .map(|build| state.repos.folder(&repository_of(build)).join(name)),
            Some(own.join(name)),
        ];
        let mut found = None;
        for candidate in candidates.into_iter().flatten() {
            if fs_err::tokio::try_exists(&candidate).await? {
                found = Some(candidate);
                break;
            }
        }
        match found {
            Some(path) if path.starts_with(&own) => {}
            Some(path) => files.push((path, package.file_name)),
            None => {
                let error = anyhow::anyhow!("{name} of attempt {attempt} is not on disk any more");
                return Err(error.into());
            }
        }
    }
    Ok(files)
}

/// Links package files in, then replaces the databases. Durable when it returns.
async fn write_repository(
    state: &AppState,
    key: &RepositoryKey,
    links: Vec<(PathBuf, PackageFileName)>,
    rows: Vec<PackageRow>,
) -> Result<(), Error> {
    let (repos, key) = (state.repos.clone(), key.clone());
    tokio::task::spawn_blocking(move || {
        for (path, name) in &links {
            repos.link(path, &key, name)?;
        }
        let folder = repos.folder(&key);
        sync_folder(&folder)?;
        replace_databases(&repos, &databases(&folder, &key, rows)?)
    })
    .await??;
    Ok(())
}

/// The databases of a repository with what they should hold: of the rows those whose files are
/// there. Blocking.
///
/// # Errors
/// When the folder cannot be read.
pub(crate) fn databases(
    folder: &Path,
    key: &RepositoryKey,
    rows: Vec<PackageRow>,
) -> io::Result<[(PathBuf, Vec<u8>); 2]> {
    // A build that was accepted a moment ago has its files linked when its own turn comes.
    let mut listed = Vec::with_capacity(rows.len());
    for row in rows {
        if folder.join(row.file_name.as_str()).try_exists()? {
            listed.push(row);
        }
    }
    let newest = newest_stage(&listed);
    let plain = newest.iter().map(|row| entry(row, false));
    let with_files = newest.iter().map(|row| entry(row, true));
    Ok([
        (
            folder.join(format!("{}.files", key.namespace)),
            render(with_files)?,
        ),
        (folder.join(format!("{}.db", key.namespace)), render(plain)?),
    ])
}

/// Replaces the databases of a repository, each at once. Blocking.
///
/// # Errors
/// When the disk refuses.
pub(crate) fn replace_databases(repos: &Repos, databases: &[(PathBuf, Vec<u8>)]) -> io::Result<()> {
    for (path, content) in databases {
        repos.replace(path, content)?;
    }
    Ok(())
}

/// Of rows sorted by stage, the last one of each package, sorted by name.
#[must_use]
pub fn newest_stage(rows: &[PackageRow]) -> Vec<&PackageRow> {
    let newest: BTreeMap<_, _> = rows.iter().map(|row| (&row.pkgname, row)).collect();
    newest.into_values().collect()
}

/// The database entry of a package.
#[must_use]
pub fn entry(row: &PackageRow, with_files: bool) -> Entry<'_> {
    Entry {
        name: &row.pkgname,
        version: &row.version,
        desc: &row.desc_entry,
        files: with_files.then_some(row.files_entry.as_str()),
    }
}
