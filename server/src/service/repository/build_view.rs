//! The view of a build: the packages of the builds it needs, directly or not, and no others.

use std::collections::BTreeSet;
use std::path::PathBuf;

use buildbtw_model::api::ProblemKind;
use buildbtw_model::{AttemptId, BuildId, PackageFileName, Sha256Digest};
use buildbtw_telemetry::spawn_blocking_named;
use sha2::Digest as _;

use crate::db::packages::{self, Candidate};
use crate::db::{Database, builds};
use crate::error::Error;
use crate::repos::database::{Entry, render};
use crate::repos::{Rendering, Repos, WorkPermit};
use crate::service::publish::file_lists::{self, listed};
use crate::state::parts::RepositoryParts;

use super::{DatabaseFile, DatabaseKind, RequestedFile, ServedPackage, find_package};

/// A file that a build sees.
pub enum ViewFile {
    /// A database of the view.
    Database(DatabaseFile),
    /// The client has the database already.
    Unchanged(String),
    /// A package.
    Package(ServedPackage),
}

/// The client that requests a file.
pub struct Client<'a> {
    /// Whether its address authenticated recently.
    pub is_known: bool,
    /// Returns whether it has the content with this version.
    pub has: &'a (dyn Fn(&str) -> bool + Sync),
}

/// A database that may have to be rendered first.
struct ViewDatabase {
    rows: Vec<Candidate>,
    kind: DatabaseKind,
    digest: Sha256Digest,
}

/// Finds a file in the view of a build. A database that the client does not have is rendered.
///
/// # Errors
/// When there is none, the database or the disk fails, or too many requests wait for such databases.
pub async fn find_file(
    parts: RepositoryParts<'_>,
    requested: &RequestedFile,
    build: BuildId,
    client: &Client<'_>,
) -> Result<ViewFile, Error> {
    let (key, place) = requested.find(parts.database).await?;
    let file = requested.file.as_str();
    let iteration = place.iteration.id;
    let row = builds::by_id(parts.database.read(), build)
        .await?
        .filter(|row| row.iteration_id == iteration && row.architecture == key.architecture)
        .ok_or_else(|| {
            let title = format!("this repository has no build {build}");
            Error::refused(ProblemKind::NotFound, title)
                .hint("`buildbtw show` lists the builds of a namespace's newest iteration")
        })?;
    let Some(kind) = DatabaseKind::parse(file, &key.namespace) else {
        let package = find_package(parts, &key, &place, file).await?;
        return Ok(ViewFile::Package(package));
    };
    let rows = packages::of_ancestors(parts.database.read(), row.id).await?;
    // Known without rendering it.
    let digest = digest(&rows, kind);
    let version = digest.to_string();
    if (client.has)(&version) {
        return Ok(ViewFile::Unchanged(version));
    }
    let database = ViewDatabase { rows, kind, digest };
    let path = database
        .render(parts.database, parts.repos, client.is_known)
        .await?;
    Ok(ViewFile::Database(DatabaseFile { path, version }))
}

impl ViewDatabase {
    /// Renders the database to disk, where a slow reader occupies no memory, and returns its path. `is_known` says
    /// whether it is for an address that authenticated recently.
    async fn render(
        self,
        database: &Database,
        repos: &Repos,
        is_known: bool,
    ) -> Result<PathBuf, Error> {
        if let Some(path) = repos.rendered(&self.digest) {
            return Ok(path);
        }
        // Builds do not need file lists.
        let what = match self.kind {
            DatabaseKind::WithFiles => Rendering::PublicFileLists,
            DatabaseKind::Plain if is_known => Rendering::Database,
            DatabaseKind::Plain => Rendering::PublicDatabase,
        };
        let permit = repos.acquire_render_permit(what).await?;
        // The previous holder of a permit may have rendered the same database.
        if let Some(path) = repos.rendered(&self.digest) {
            return Ok(path);
        }
        let rendered = content(database, &self.rows, self.kind, permit).await?;
        let (repos, digest) = (repos.clone(), self.digest);
        let keep = move || repos.keep_rendered(&digest, &rendered);
        Ok(spawn_blocking_named("keep build view", keep).await??)
    }
}

fn digest(rows: &[Candidate], kind: DatabaseKind) -> Sha256Digest {
    let mut hasher = sha2::Sha256::new();
    // Another version of the server may render the same entries differently.
    hasher.update(concat!(env!("CARGO_PKG_VERSION"), "\n"));
    hasher.update(match kind {
        DatabaseKind::Plain => "db\n",
        DatabaseKind::WithFiles => "files\n",
    });
    for row in listed(rows) {
        hasher.update(format!("{} {}\n", row.file_name, row.sha256));
    }
    Sha256Digest::from_bytes(&hasher.finalize().into())
}

async fn content(
    database: &Database,
    rows: &[Candidate],
    kind: DatabaseKind,
    permit: WorkPermit,
) -> Result<Vec<u8>, Error> {
    let shown = listed(rows);
    if kind == DatabaseKind::WithFiles {
        return file_lists::with_files(database, shown, permit).await;
    }
    let attempts: BTreeSet<AttemptId> = shown.iter().map(|row| row.attempt).collect();
    let attempts: Vec<AttemptId> = attempts.into_iter().collect();
    let listed = packages::of_attempts(database.read(), &attempts).await?;
    let shown: BTreeSet<(AttemptId, PackageFileName)> = shown
        .into_iter()
        .map(|row| (row.attempt, row.file_name.clone()))
        .collect();
    spawn_blocking_named("write build view", move || {
        let _permit = permit;
        let mut listed: Vec<_> = listed
            .iter()
            .filter(|package| shown.contains(&(package.attempt, package.file_name.clone())))
            .map(|package| &package.listing)
            .collect();
        listed.sort_by(|one, other| one.pkgname.cmp(&other.pkgname));
        let entries = listed.into_iter().map(|listing| Entry {
            name: &listing.pkgname,
            version: &listing.version,
            desc: &listing.desc_entry,
            files: None,
        });
        Ok(render(entries)?)
    })
    .await?
}
