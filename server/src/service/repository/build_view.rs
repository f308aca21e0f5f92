//! The view of a build: the packages of the builds it needs, directly or not, and no others.

use std::collections::BTreeSet;
use std::path::PathBuf;

use buildbtw_model::{
    Architecture, AttemptId, BuildId, NamespaceName, PackageFileName, Sha256Digest,
};
use sha2::Digest as _;

use crate::db::builds;
use crate::db::packages::{self, Candidate};
use crate::error::Error;
use crate::repos::database::{Entry, render};
use crate::repos::{Rendering, RepositoryKey, Turn};
use crate::service::publish::file_lists::{self, listed};
use crate::state::AppState;

use super::{DatabaseKind, PackageFile, Place, find_package};

/// A file that a build sees.
pub enum ViewFile {
    /// A database of the view.
    Database(ViewDatabase),
    /// A package.
    Package(PackageFile),
}

/// A database that may have to be rendered first.
pub struct ViewDatabase {
    rows: Vec<Candidate>,
    kind: DatabaseKind,
    digest: Sha256Digest,
}

/// Finds a file in the view of a build.
///
/// # Errors
/// When there is none.
pub async fn find_file(
    state: &AppState,
    name: NamespaceName,
    iteration: &str,
    architecture: Architecture,
    build: BuildId,
    file: &str,
) -> Result<ViewFile, Error> {
    let place = Place::find(&state.database, &name, iteration).await?;
    let iteration = &place.iteration;
    let row = builds::by_id(state.database.read(), build)
        .await?
        .filter(|row| row.iteration_id == iteration.id && row.architecture == architecture)
        .ok_or_else(|| Error::not_found(format!("build {build} in this repository")))?;
    let key = RepositoryKey {
        namespace: name,
        iteration: iteration.number,
        architecture,
    };
    let Some(kind) = DatabaseKind::parse(file, &key.namespace) else {
        let package = find_package(state, &key, &place, file).await?;
        return Ok(ViewFile::Package(package));
    };
    let rows = packages::of_ancestors(state.database.read(), row.id).await?;
    let digest = digest(&rows, kind);
    Ok(ViewFile::Database(ViewDatabase { rows, kind, digest }))
}

impl ViewDatabase {
    /// Returns the digest that identifies it, which is known without rendering it.
    #[must_use]
    pub fn digest(&self) -> &Sha256Digest {
        &self.digest
    }

    /// Renders the database to disk, where a slow reader occupies no memory, and returns its path. `is_known` says
    /// whether it is for an address that authenticated recently.
    ///
    /// # Errors
    /// When the database or the disk fails, or too many requests wait for such databases.
    pub async fn render(self, state: &AppState, is_known: bool) -> Result<PathBuf, Error> {
        if let Some(path) = state.repos.rendered(&self.digest) {
            return Ok(path);
        }
        // Builds do not need file lists.
        let what = match self.kind {
            DatabaseKind::WithFiles => Rendering::PublicFileLists,
            DatabaseKind::Plain if is_known => Rendering::Database,
            DatabaseKind::Plain => Rendering::PublicDatabase,
        };
        let turn = state.repos.acquire_render_turn(what).await?;
        // The previous turn may have rendered the same database.
        if let Some(path) = state.repos.rendered(&self.digest) {
            return Ok(path);
        }
        let rendered = content(state, &self.rows, self.kind, turn).await?;
        let (repos, digest) = (state.repos.clone(), self.digest);
        let keep = move || repos.keep_rendered(&digest, &rendered);
        Ok(tokio::task::spawn_blocking(keep).await??)
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
    state: &AppState,
    rows: &[Candidate],
    kind: DatabaseKind,
    turn: Turn,
) -> Result<Vec<u8>, Error> {
    let shown = listed(rows);
    if kind == DatabaseKind::WithFiles {
        return file_lists::with_files(&state.database, shown, turn).await;
    }
    let attempts: BTreeSet<AttemptId> = shown.iter().map(|row| row.attempt).collect();
    let attempts: Vec<AttemptId> = attempts.into_iter().collect();
    let listed = packages::of_attempts(state.database.read(), &attempts).await?;
    let shown: BTreeSet<(AttemptId, PackageFileName)> = shown
        .into_iter()
        .map(|row| (row.attempt, row.file_name.clone()))
        .collect();
    tokio::task::spawn_blocking(move || {
        let _turn = turn;
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
