//! The files in the repositories of a namespace. The newest iteration is `current`, the newest complete one `latest`.

pub mod build_view;
pub mod folders;

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use buildbtw_model::api::ProblemKind;
use buildbtw_model::{Architecture, NamespaceName, PackageFileName, Sha256Digest};

use crate::db::iterations::{self, IterationRow};
use crate::db::{Database, retired_packages};
use crate::error::Error;
use crate::repos::RepositoryKey;
use crate::repos::database::render;
use crate::state::parts::RepositoryParts;

use super::publish::file_lists;
use super::read::find::find_namespace;

const LIST_ARCHITECTURES: &str =
    "`buildbtw show` lists the repositories of a namespace, one per architecture";

/// The place of a file in the repositories.
pub struct RequestedFile {
    /// The namespace.
    pub namespace: NamespaceName,
    /// The number of the iteration, `current` or `latest`.
    pub iteration: String,
    /// The architecture.
    pub architecture: Architecture,
    /// The name of the file.
    pub file: String,
}

/// A file of a repository.
pub enum RepositoryFile {
    /// A database, which changes with every package.
    Database(DatabaseFile),
    /// The content of a database before the first package is published.
    EmptyDatabase(Vec<u8>),
    /// A package.
    Package(ServedPackage),
}

/// A database on disk.
pub struct DatabaseFile {
    /// Its path.
    pub path: PathBuf,
    /// Text that identifies its content.
    pub version: String,
}

/// A package of a repository.
pub struct ServedPackage {
    /// Its path.
    pub path: PathBuf,
    /// Its digest.
    pub sha256: Sha256Digest,
    /// Whether its URL may serve other bytes later. Plans reuse a file name for other bytes only where the PKGBUILD
    /// computes the version.
    pub may_change: bool,
}

/// Finds a file of a repository.
///
/// # Errors
/// When there is none.
pub async fn find_file(
    parts: RepositoryParts<'_>,
    requested: &RequestedFile,
) -> Result<RepositoryFile, Error> {
    let (key, place) = requested.find(parts.database).await?;
    let file = requested.file.as_str();
    let Some(kind) = DatabaseKind::parse(file, &key.namespace) else {
        let package = find_package(parts, &key, &place, file).await?;
        return Ok(RepositoryFile::Package(package));
    };
    if kind == DatabaseKind::WithFiles {
        file_lists::update(parts, &key, place.iteration.id).await?;
    }
    if !parts.architectures.contains(&key.architecture) {
        let what = format!("repository for {}", key.architecture);
        return Err(Error::not_found(what).hint(LIST_ARCHITECTURES));
    }
    find_database(parts.repos.folder(&key).join(file)).await
}

async fn find_database(path: PathBuf) -> Result<RepositoryFile, Error> {
    let metadata = match fs_err::tokio::metadata(&path).await {
        Ok(metadata) => metadata,
        // Nothing is built yet: pacman accepts an empty database.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(RepositoryFile::EmptyDatabase(render([])?));
        }
        Err(error) => return Err(error.into()),
    };
    let written = metadata.modified()?.duration_since(UNIX_EPOCH);
    let written = written.unwrap_or_default().as_nanos();
    // Two versions may have the same time and size, but they are different files.
    let inode = metadata.ino();
    let version = format!("{written:x}-{inode:x}-{:x}", metadata.len());
    Ok(RepositoryFile::Database(DatabaseFile { path, version }))
}

/// Returns why a file that was found could not be served.
pub async fn unreadable(path: &Path) -> Error {
    match fs_err::tokio::File::open(path).await {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let name = path.file_name().unwrap_or_default();
            Error::not_found(format!("file `{}`", name.display()))
        }
        Err(error) => error.into(),
        Ok(_) => anyhow::anyhow!("cannot serve `{}`", path.display()).into(),
    }
}

async fn find_package(
    parts: RepositoryParts<'_>,
    key: &RepositoryKey,
    place: &Place,
    file: &str,
) -> Result<ServedPackage, Error> {
    let not_found = || {
        let title = format!("this repository has no file `{file}`");
        Error::refused(ProblemKind::NotFound, title)
    };
    let name: PackageFileName = file.parse().map_err(|_| not_found())?;
    let path = parts.repos.folder(key).join(name.as_str());
    let reader = parts.database.read();
    let (iteration, architecture) = (place.iteration.id, &key.architecture);
    let served = retired_packages::served(reader, iteration, architecture, &name).await?;
    let served = served.ok_or_else(not_found)?;
    if !fs_err::tokio::try_exists(&path).await? {
        return Err(not_found());
    }
    Ok(ServedPackage {
        path,
        sha256: served.sha256,
        may_change: place.is_alias || served.is_successor,
    })
}

/// An iteration, and whether its URL is an alias that will serve another iteration later.
struct Place {
    iteration: IterationRow,
    is_alias: bool,
}

impl RequestedFile {
    /// Finds the repository and its iteration.
    async fn find(&self, database: &Database) -> Result<(RepositoryKey, Place), Error> {
        let text = self.iteration.as_str();
        let place = Place {
            iteration: find_iteration(database, &self.namespace, text).await?,
            is_alias: matches!(text, "current" | "latest"),
        };
        let key = RepositoryKey {
            namespace: self.namespace.clone(),
            iteration: place.iteration.number,
            architecture: self.architecture.clone(),
        };
        Ok((key, place))
    }
}

async fn find_iteration(
    database: &Database,
    name: &NamespaceName,
    text: &str,
) -> Result<IterationRow, Error> {
    let namespace = find_namespace(database, name).await?.id;
    let reader = database.read();
    let found = match text {
        "current" => iterations::newest(reader, namespace).await?,
        "latest" => iterations::newest_done(reader, namespace).await?,
        number => match number.parse() {
            Ok(number) => iterations::by_number(reader, namespace, number).await?,
            Err(_) => None,
        },
    };
    found.ok_or_else(|| match text {
        "latest" => {
            let title = format!("namespace `{name}` has no complete iteration yet");
            Error::refused(ProblemKind::NotFound, title)
                .hint("use `current` in place of `latest` for the newest iteration")
        }
        text => Error::not_found(format!("iteration `{text}` of namespace `{name}`")).hint(
            format!("use `latest` or `current`; `buildbtw show {name}` shows the newest one"),
        ),
    })
}

/// The kind of database that a file name stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum DatabaseKind {
    Plain,
    WithFiles,
}

impl DatabaseKind {
    fn parse(file: &str, namespace: &NamespaceName) -> Option<Self> {
        match file.strip_prefix(namespace.as_str())? {
            ".db" => Some(Self::Plain),
            ".files" => Some(Self::WithFiles),
            _ => None,
        }
    }
}
