//! Lists the folders of repositories, for browsers.

use std::io;
use std::path::Path;

use buildbtw_model::{Architecture, IterationStatus, NamespaceName, PackageFileName};
use buildbtw_telemetry::spawn_blocking_named;
use jiff::Timestamp;

use crate::db::iterations::{self, IterationRow};
use crate::db::{Database, namespaces};
use crate::error::Error;
use crate::repos::{Repos, RepositoryKey};
use crate::service::read::find::find_namespace;

use super::{LIST_ARCHITECTURES, find_iteration};

/// An entry of a folder.
pub struct Entry {
    /// Its name.
    pub name: String,
    /// Whether it is a folder.
    pub is_folder: bool,
    /// Its size in bytes.
    pub size: Option<u64>,
    /// When it changed.
    pub modified: Option<Timestamp>,
}

impl Entry {
    fn folder(name: String, modified: Option<Timestamp>) -> Self {
        Self {
            name,
            is_folder: true,
            size: None,
            modified,
        }
    }

    fn file(name: String, size: Option<u64>, modified: Option<Timestamp>) -> Self {
        Self {
            name,
            is_folder: false,
            size,
            modified,
        }
    }
}

/// Returns whether there is a namespace with this name.
///
/// # Errors
/// When the database cannot be read.
pub async fn has_namespace(database: &Database, name: &str) -> Result<bool, Error> {
    let Ok(name) = name.parse::<NamespaceName>() else {
        return Ok(false);
    };
    let found = namespaces::by_name(database.read(), &name).await?;
    Ok(found.is_some())
}

/// Lists a folder per namespace, by name.
///
/// # Errors
/// When the database cannot be read.
pub async fn list_namespaces(database: &Database) -> Result<Vec<Entry>, Error> {
    let mut rows = namespaces::all(database.read()).await?;
    rows.sort_by(|a, b| a.name.cmp(&b.name));
    let entries = rows.into_iter().map(|row| {
        let created = row.created_at.into();
        Entry::folder(row.name.to_string(), Some(created))
    });
    Ok(entries.collect())
}

/// Lists a folder per iteration of a namespace, after `current` and `latest`.
///
/// # Errors
/// When there is no such namespace.
pub async fn list_iterations(
    database: &Database,
    name: &NamespaceName,
) -> Result<Vec<Entry>, Error> {
    let namespace = find_namespace(database, name).await?;
    let rows = iterations::of_namespace(database.read(), namespace.id).await?;
    let changed = |row: &IterationRow| row.finished_at.unwrap_or(row.created_at).into();
    let is_done = |row: &&IterationRow| row.status == IterationStatus::Done;
    // The newest comes first.
    let newest = rows.first();
    let done = rows.iter().find(is_done);
    let named = [("current", newest), ("latest", done)];
    let named = named
        .into_iter()
        .filter_map(|(name, row)| Some(Entry::folder(name.to_owned(), Some(changed(row?)))));
    let numbered = rows
        .iter()
        .rev()
        .map(|row| Entry::folder(row.number.to_string(), Some(changed(row))));
    Ok(named.chain(numbered).collect())
}

/// Lists a folder per architecture of an iteration, by name.
///
/// # Errors
/// When there is no such iteration.
pub async fn list_architectures(
    database: &Database,
    name: &NamespaceName,
    iteration: &str,
) -> Result<Vec<Entry>, Error> {
    let iteration = find_iteration(database, name, iteration).await?;
    let counts = iterations::counts(database.read(), iteration.id).await?;
    let mut entries: Vec<Entry> = counts
        .into_iter()
        .map(|(architecture, _)| Entry::folder(architecture.to_string(), None))
        .collect();
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}

/// Lists the databases, even before they exist, and the packages of a repository.
///
/// # Errors
/// When there is no such repository, or the disk fails.
pub async fn list_files(
    database: &Database,
    repos: &Repos,
    name: &NamespaceName,
    number: &str,
    architecture: &Architecture,
) -> Result<Vec<Entry>, Error> {
    let iteration = find_iteration(database, name, number).await?;
    let counts = iterations::counts(database.read(), iteration.id).await?;
    if !counts.iter().any(|(known, _)| known == architecture) {
        let what = format!("repository for {architecture} in iteration {number} of `{name}`");
        return Err(Error::not_found(what).hint(LIST_ARCHITECTURES));
    }
    let key = RepositoryKey {
        namespace: name.clone(),
        iteration: iteration.number,
        architecture: architecture.clone(),
    };
    let folder = repos.folder(&key);
    let databases = [".db", ".files"].map(|end| format!("{name}{end}"));
    Ok(spawn_blocking_named("read repository", move || read_folder(&folder, databases)).await??)
}

fn read_folder(folder: &Path, databases: [String; 2]) -> io::Result<Vec<Entry>> {
    let mut packages = Vec::new();
    let mut found = Vec::new();
    match fs_err::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        listed => {
            for entry in listed? {
                let entry = entry?;
                let Ok(name) = entry.file_name().into_string() else {
                    continue;
                };
                let is_database = databases.contains(&name);
                if !is_database && name.parse::<PackageFileName>().is_err() {
                    continue;
                }
                let metadata = entry.metadata()?;
                let modified = Timestamp::try_from(metadata.modified()?).ok();
                let file = Entry::file(name, Some(metadata.len()), modified);
                if is_database {
                    found.push(file);
                } else {
                    packages.push(file);
                }
            }
        }
    }
    for name in databases {
        if !found.iter().any(|file| file.name == name) {
            found.push(Entry::file(name, None, None));
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    packages.sort_by(|a, b| a.name.cmp(&b.name));
    found.append(&mut packages);
    Ok(found)
}
