//! `check`: compares the database with the files on disk, and repairs what it can.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use buildbtw_model::NamespaceName;

use crate::db::packages::{self, Published};
use crate::db::{
    Database, IterationId, OpenError, attempts, builds, in_one_line, iterations, namespaces,
};
use crate::logs::Logs;
use crate::owner::{self, Depth, Foreign, Owner, give_to_owner};
use crate::repos::image::DatabaseImage;
use crate::repos::{Rendering, Repos, RepositoryKey};
use crate::run::{DATABASE_FILE, lock};
use crate::service::publish::file_lists::{listed, replace_databases, with_files};
use crate::service::recover::may_upload;
use crate::time::Clock;

use super::files::{digest, ensure_database, entries, is_content, remove};
pub use super::findings::Finding;
use super::uploads::uploaded;

/// What to check and whether to repair it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Compare digests of packages, not only sizes.
    pub digests: bool,
    /// Repair what can be repaired.
    pub repair: bool,
}

/// Checks a data folder that is not in use.
///
/// # Errors
/// When a server uses the folder, or it cannot be read.
pub async fn check(data: &Path, options: Options) -> anyhow::Result<Vec<Finding>> {
    ensure_database(data)?;
    // Concurrent writes would look like problems.
    let _lock = lock(data).await?;
    let foreign = owner::foreign(data, Depth::All)?;
    let found = run(data, options).await;
    // As root this has created files, even without a repair, which the server could not read.
    let except = if options.repair { &[][..] } else { &foreign };
    give_to_owner(data, Depth::All, except)?;
    let mut findings = owners(data, foreign)?;
    findings.extend(found?);
    Ok(findings)
}

async fn run(data: &Path, options: Options) -> anyhow::Result<Vec<Finding>> {
    let checker = Checker::open(data, &data.join(DATABASE_FILE), options).await;
    let checker = checker.map_err(|error| match error.downcast::<OpenError>() {
        Ok(error) => error.explanation().into(),
        Err(error) => error,
    })?;
    let found = checker.run().await;
    checker.database.close().await;
    found
}

/// Returns findings of files that do not belong to the owner of the data folder.
fn owners(data: &Path, foreign: Vec<Foreign>) -> anyhow::Result<Vec<Finding>> {
    let owner = Owner::of(data)?.user;
    let is_root = Owner::own().user == 0;
    let findings = foreign
        .into_iter()
        .map(|Foreign { path, user }| Finding::Owner {
            path,
            user,
            owner,
            is_repairable: is_root,
        });
    Ok(findings.collect())
}

/// Migrates `database`, writes the repository databases of its data folder, and checks everything else. The caller
/// holds the lock of the folder.
///
/// # Errors
/// When the folder cannot be read or written; with an [`OpenError`] when the database cannot be used.
pub(super) async fn complete(data: &Path, database: &Path) -> anyhow::Result<Vec<Finding>> {
    let options = Options {
        digests: true,
        repair: false,
    };
    let checker = Checker::open(data, database, options).await?;
    let found = checker.complete().await;
    checker.database.close().await;
    found
}

struct Checker {
    database: Database,
    repos: Repos,
    logs: Logs,
    options: Options,
}

impl Checker {
    async fn open(data: &Path, database: &Path, options: Options) -> anyhow::Result<Self> {
        Ok(Self {
            database: Database::open(database, Clock::default()).await?,
            repos: Repos::new(data)?,
            logs: Logs::new(data)?,
            options,
        })
    }

    async fn run(&self) -> anyhow::Result<Vec<Finding>> {
        let mut findings = self.integrity().await?;
        if !findings.is_empty() {
            // The content of a damaged database cannot be relied on.
            return Ok(findings);
        }
        let published = packages::published(self.database.read()).await?;
        let damaged = self.packages(&published)?;
        if self.options.repair {
            for finding in &damaged {
                self.restore(finding, &published).await?;
            }
        }
        findings.extend(damaged);
        findings.extend(self.uploads().await?);
        findings.extend(self.repository_databases(self.options.repair).await?);
        findings.extend(self.orphans(&published).await?);
        Ok(findings)
    }

    async fn complete(&self) -> anyhow::Result<Vec<Finding>> {
        let mut findings = self.integrity().await?;
        if !findings.is_empty() {
            return Ok(findings);
        }
        let published = packages::published(self.database.read()).await?;
        findings.extend(self.packages(&published)?);
        findings.extend(self.uploads().await?);
        // Backups do not contain them.
        self.repository_databases(true).await?;
        findings.extend(self.orphans(&published).await?);
        Ok(findings)
    }

    async fn integrity(&self) -> anyhow::Result<Vec<Finding>> {
        let reader = self.database.read();
        let mut findings = Vec::new();
        let lines: Vec<String> = sqlx::query_scalar("pragma integrity_check")
            .fetch_all(reader)
            .await?;
        let lines = lines.into_iter().filter(|line| line != "ok");
        findings.extend(lines.map(|line| in_one_line(&line)));
        let tables: Vec<String> =
            sqlx::query_scalar("select distinct \"table\" from pragma_foreign_key_check")
                .fetch_all(reader)
                .await?;
        findings.extend(
            tables
                .into_iter()
                .map(|table| format!("rows of table {table} refer to missing rows")),
        );
        Ok(findings.into_iter().map(Finding::Database).collect())
    }

    fn packages(&self, published: &[Published]) -> anyhow::Result<Vec<Finding>> {
        let mut findings = Vec::new();
        for package in published {
            let path = self.path(package);
            let what = match fs_err::metadata(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => "is missing".to_owned(),
                Err(error) => return Err(error.into()),
                Ok(metadata) if metadata.len() != package.size => {
                    format!("has {} bytes instead of {}", metadata.len(), package.size)
                }
                Ok(_) if self.options.digests && digest(&path)? != package.sha256 => {
                    "has another digest than the upload".to_owned()
                }
                Ok(_) => continue,
            };
            findings.push(Finding::Package {
                build: package.build,
                attempt: package.attempt,
                path,
                what,
            });
        }
        Ok(findings)
    }

    fn path(&self, package: &Published) -> PathBuf {
        self.repos
            .folder(&key(package))
            .join(package.file_name.as_str())
    }

    /// Restores a lost package from another repository with the same one, or else marks its build as
    /// failed.
    async fn restore(&self, finding: &Finding, published: &[Published]) -> anyhow::Result<()> {
        let Finding::Package {
            build,
            attempt,
            path,
            what,
        } = finding
        else {
            return Ok(());
        };
        let same = published
            .iter()
            .filter(|other| other.attempt == *attempt && path.ends_with(other.file_name.as_str()));
        for other in same {
            let source = self.path(other);
            if source == *path || !source.try_exists()? || digest(&source)? != other.sha256 {
                continue;
            }
            if path.try_exists()? {
                fs_err::remove_file(path)?;
            }
            if let Some(folder) = path.parent() {
                fs_err::create_dir_all(folder)?;
            }
            fs_err::hard_link(&source, path)?;
            return Ok(());
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let message = discarded(&name, what);
        let mut tx = self.database.write().await?;
        builds::discard_packages(&mut tx, *build, &message).await?;
        tx.commit().await?;
        if path.try_exists()? {
            fs_err::remove_file(path)?;
        }
        Ok(())
    }

    /// Returns accepted uploads that are missing or have another size.
    async fn uploads(&self) -> anyhow::Result<Vec<Finding>> {
        let mut findings = Vec::new();
        let uploads = uploaded(self.database.read(), &self.repos).await?;
        for upload in uploads.into_iter().filter(|upload| upload.is_accepted) {
            let found = match fs_err::metadata(&upload.path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                found => Some(found?.len()),
            };
            if found != Some(upload.size) {
                findings.push(Finding::Upload {
                    build: upload.build,
                    path: upload.path,
                });
            }
        }
        Ok(findings)
    }

    /// Returns repository databases that do not match the builds, and rewrites them if `rewrite` is set.
    async fn repository_databases(&self, rewrite: bool) -> anyhow::Result<Vec<Finding>> {
        let mut findings = Vec::new();
        for (iteration, key) in self.repositories().await? {
            let (plain, lists) = self.expected(iteration, &key).await?;
            let mut wrong = Vec::new();
            for (path, content) in [
                (self.repos.file_lists(&key), &lists),
                (self.repos.database(&key), &plain),
            ] {
                if !is_content(&path, content)? {
                    wrong.push(path);
                }
            }
            if rewrite && !wrong.is_empty() {
                fs_err::create_dir_all(self.repos.folder(&key))?;
                replace_databases(&self.repos, &key, &plain, &lists)?;
            }
            findings.extend(wrong.into_iter().map(|path| Finding::RepositoryDatabase {
                repository: key.clone(),
                path,
            }));
        }
        Ok(findings)
    }

    /// Returns the repositories that have databases. One of a namespace that is being deleted may have no packages.
    async fn repositories(&self) -> sqlx::Result<Vec<(IterationId, RepositoryKey)>> {
        let reader = self.database.read();
        let mut repositories = Vec::new();
        for namespace in namespaces::all(reader).await? {
            for iteration in iterations::of_namespace(reader, namespace.id).await? {
                for (architecture, counts) in iterations::counts(reader, iteration.id).await? {
                    let key = RepositoryKey {
                        namespace: namespace.name.clone(),
                        iteration: iteration.number,
                        architecture,
                    };
                    if counts.done > 0 {
                        repositories.push((iteration.id, key));
                    }
                }
            }
        }
        Ok(repositories)
    }

    /// Returns what the two databases of a repository have to contain.
    async fn expected(
        &self,
        iteration: IterationId,
        key: &RepositoryKey,
    ) -> anyhow::Result<(Vec<u8>, Vec<u8>)> {
        let reader = self.database.read();
        let mut image = DatabaseImage::default();
        for listing in packages::listings(reader, iteration, &key.architecture).await? {
            image.list(listing);
        }
        let rows = packages::of_repository(reader, iteration, &key.architecture).await?;
        let permit = self
            .repos
            .acquire_render_permit(Rendering::FileLists)
            .await?;
        let lists = with_files(&self.database, listed(&rows), permit).await?;
        Ok((image.render()?, lists))
    }

    /// Returns files and folders that no row refers to.
    async fn orphans(&self, published: &[Published]) -> anyhow::Result<Vec<Finding>> {
        let reader = self.database.read();
        let mut orphans = Vec::new();
        let mut known: BTreeMap<NamespaceName, BTreeSet<String>> = BTreeMap::new();
        for namespace in namespaces::all(reader).await? {
            let numbers = iterations::of_namespace(reader, namespace.id).await?;
            let numbers = numbers.iter().map(|row| row.number.to_string());
            known.insert(namespace.name, numbers.collect());
        }
        let mut files: BTreeSet<PathBuf> = BTreeSet::new();
        files.extend(published.iter().map(|package| self.path(package)));
        for (_, key) in self.repositories().await? {
            files.extend([self.repos.database(&key), self.repos.file_lists(&key)]);
        }
        for name in self.repos.namespaces()? {
            let folder = self.repos.folder_of(&name, None);
            let Some(numbers) = known.get(&name) else {
                orphans.push(folder);
                continue;
            };
            for iteration in entries(&folder)? {
                let number = iteration.file_name().unwrap_or_default().to_string_lossy();
                if !numbers.contains(number.as_ref()) {
                    orphans.push(iteration);
                    continue;
                }
                for architecture in entries(&iteration)? {
                    for file in entries(&architecture)? {
                        if !files.contains(&file) {
                            orphans.push(file);
                        }
                    }
                }
            }
        }
        for attempt in self.logs.all()? {
            if attempts::by_id(reader, attempt).await?.is_none() {
                let paths = self.logs.paths(attempt);
                orphans.extend(paths.into_iter().filter(|path| path.exists()));
            }
        }
        for attempt in self.repos.uploading()? {
            if !may_upload(reader, attempt).await? {
                orphans.push(self.repos.uploads(attempt));
            }
        }
        if self.options.repair {
            for path in &orphans {
                remove(path)?;
            }
        }
        Ok(orphans.into_iter().map(Finding::Orphan).collect())
    }
}

/// Returns the message of a build whose package cannot be restored.
pub(super) fn discarded(name: &str, what: &str) -> String {
    format!("package `{name}` {what}; `buildbtw retry` rebuilds it")
}

fn key(package: &Published) -> RepositoryKey {
    RepositoryKey {
        namespace: package.namespace.clone(),
        iteration: package.iteration,
        architecture: package.architecture.clone(),
    }
}
