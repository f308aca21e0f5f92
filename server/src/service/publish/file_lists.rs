//! File lists. Only `pacman -F` reads them and they are many times larger than the plain databases, so they are
//! written a little later, except at the end of an iteration or on request.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use buildbtw_model::Pkgname;
use buildbtw_telemetry::spawn_blocking_named;

use crate::db::packages::{self, Candidate};
use crate::db::{Database, IterationId, iterations, namespaces};
use crate::error::Error;
use crate::repos::choice::NameCandidates;
use crate::repos::database::{DatabaseWriter, Entry};
use crate::repos::{Rendering, Repos, RepositoryKey, WorkPermit};
use crate::state::parts::RepositoryParts;

/// Updates the file lists of a repository, if they are outdated.
///
/// # Errors
/// When the database or the disk fails.
pub async fn update(
    parts: RepositoryParts<'_>,
    key: &RepositoryKey,
    iteration: IterationId,
) -> Result<(), Error> {
    let _alone = parts.file_lists.lock_writes().await;
    let repos = parts.repos;
    // Read first: packages that are published from now on make them outdated again.
    let Some(written) = modified(&repos.database(key))? else {
        return Ok(());
    };
    if modified(&repos.file_lists(key))? == Some(written) {
        return Ok(());
    }
    let permit = repos.acquire_render_permit(Rendering::FileLists).await?;
    let rows = packages::of_repository(parts.database.read(), iteration, &key.architecture).await?;
    let content = with_files(parts.database, listed(&rows), permit).await?;
    let (repos, key) = (repos.clone(), key.clone());
    spawn_blocking_named("read file lists", move || {
        repos.replace_at(&repos.file_lists(&key), &content, written)
    })
    .await??;
    Ok(())
}

/// Returns the repositories whose file lists are outdated after a crash.
///
/// # Errors
/// When the database or the disk fails.
pub async fn outdated(
    parts: RepositoryParts<'_>,
) -> Result<Vec<(RepositoryKey, IterationId)>, Error> {
    let reader = parts.database.read();
    let mut outdated = Vec::new();
    for namespace in namespaces::all(reader).await? {
        for iteration in iterations::of_namespace(reader, namespace.id).await? {
            for architecture in parts.architectures {
                let key = RepositoryKey {
                    namespace: namespace.name.clone(),
                    iteration: iteration.number,
                    architecture: architecture.clone(),
                };
                if modified(&parts.repos.database(&key))?
                    != modified(&parts.repos.file_lists(&key))?
                {
                    outdated.push((key, iteration.id));
                }
            }
        }
    }
    Ok(outdated)
}

fn modified(path: &Path) -> io::Result<Option<std::time::SystemTime>> {
    match fs_err::metadata(path) {
        Ok(metadata) => Ok(Some(metadata.modified()?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The maximum number of packages whose file lists are read together, and the length in bytes after which the rest is
/// read later: most lists are short, and some are too long for many of them to be in memory.
const READ_TOGETHER: usize = 256;
const READ_BYTES: i64 = 1 << 20;

/// Renders the database with file lists of some packages. File lists may be large, so few are in memory at a time.
///
/// # Errors
/// When the database fails, or the memory limit is reached.
pub(crate) async fn with_files(
    database: &Database,
    rows: Vec<&Candidate>,
    permit: WorkPermit,
) -> Result<Vec<u8>, Error> {
    let mut writer = DatabaseWriter::new()?;
    let mut rest = rows.as_slice();
    while let [first, ..] = rest {
        let next = rest.iter().take(READ_TOGETHER);
        let wanted: Vec<_> = next.map(|row| (row.attempt, &row.file_name)).collect();
        let entries = packages::entries(database.read(), &wanted, READ_BYTES).await?;
        if entries.is_empty() {
            return Err(Error::not_found(format!("package `{}`", first.file_name)));
        }
        let (read, later) = rest.split_at(entries.len());
        let named = read
            .iter()
            .map(|row| (row.pkgname.clone(), row.version.clone()));
        let named: Vec<_> = named.zip(entries).collect();
        let append = move || {
            for ((name, version), entries) in &named {
                writer.append(&Entry {
                    name,
                    version,
                    desc: &entries.desc,
                    files: Some(&entries.files),
                })?;
            }
            io::Result::Ok(writer)
        };
        writer = spawn_blocking_named("append file lists", append).await??;
        rest = later;
    }
    let content = spawn_blocking_named("finish file lists", || writer.finish()).await??;
    drop(permit);
    Ok(content)
}

/// Returns the packages that a repository lists, sorted by name.
#[must_use]
pub fn listed(rows: &[Candidate]) -> Vec<&Candidate> {
    let mut named: BTreeMap<&Pkgname, NameCandidates<&Candidate>> = BTreeMap::new();
    for row in rows {
        named.entry(&row.pkgname).or_default().add(row);
    }
    let listed = named.values().filter_map(NameCandidates::listed);
    listed.copied().collect()
}

/// Replaces both databases of a repository with new ones from its rows. Blocking.
///
/// # Errors
/// When the disk fails.
pub(crate) fn replace_databases(
    repos: &Repos,
    key: &RepositoryKey,
    database: &[u8],
    file_lists: &[u8],
) -> io::Result<()> {
    repos.replace(&repos.database(key), database)?;
    repos.replace(&repos.file_lists(key), file_lists)
}
