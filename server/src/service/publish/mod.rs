//! Publishes accepted packages: puts them into the repositories, and only then marks their builds as built.

pub mod file_lists;
mod images;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;

use buildbtw_model::{AttemptId, BuildId, PackageFileName};
use buildbtw_telemetry::spawn_blocking_named;

use crate::db::Database;
use crate::db::builds::{self, BuildRow};
use crate::db::packages::{self, Listing};
use crate::error::Error;
use crate::repos::image::DatabaseImage;
use crate::repos::{Repos, RepositoryKey};
use crate::state::parts::RepositoryParts;

use super::transitions::Transition;
pub(crate) use images::Images;

/// Returns the builds whose packages were accepted and are not in their repository yet.
///
/// # Errors
/// When the database cannot be read.
pub(crate) async fn unpublished(database: &Database) -> sqlx::Result<Vec<BuildId>> {
    let builds = builds::unpublished(database.read()).await?;
    Ok(builds.into_iter().map(|build| build.id).collect())
}

/// Publishes some builds, repository by repository. Returns those that failed, with the reasons.
///
/// # Errors
/// When the builds cannot be read.
pub(crate) async fn publish_all(
    parts: RepositoryParts<'_>,
    images: &mut Images,
    ids: &BTreeSet<BuildId>,
) -> Result<BTreeMap<BuildId, Error>, Error> {
    let ids: Vec<BuildId> = ids.iter().copied().collect();
    let found = builds::by_ids(parts.database.read(), &ids).await?;
    let mut failed = BTreeMap::new();
    let mut groups: BTreeMap<RepositoryKey, Vec<BuildRow>> = BTreeMap::new();
    for build in found {
        if !build.status.has_packages() {
            groups
                .entry(RepositoryKey::of(&build))
                .or_default()
                .push(build);
        }
    }
    for (key, group) in groups {
        let Err(error) = publish_group(parts, images, &key, &group).await else {
            continue;
        };
        if let [build] = group.as_slice() {
            failed.insert(build.id, in_repository(&key, error));
            continue;
        }
        // A build that fails must not delay the others.
        for build in group {
            let id = build.id;
            if let Err(error) = publish_group(parts, images, &key, &[build]).await {
                failed.insert(id, in_repository(&key, error));
            }
        }
    }
    Ok(failed)
}

/// Adds the name of the repository to an error.
pub(crate) fn in_repository(key: &RepositoryKey, error: Error) -> Error {
    let RepositoryKey {
        namespace,
        architecture,
        ..
    } = key;
    let context = format!("repository `{namespace}` for {architecture}");
    anyhow::Error::from(error).context(context).into()
}

async fn publish_group(
    parts: RepositoryParts<'_>,
    images: &mut Images,
    key: &RepositoryKey,
    group: &[BuildRow],
) -> Result<(), Error> {
    let Some(iteration) = group.first().map(|build| build.iteration_id) else {
        return Ok(());
    };
    let Packages {
        files: links,
        listings,
        own,
    } = package_files(parts, key, group).await?;
    // Taken out, so that it is rebuilt from the database if anything below fails.
    let mut image = images.take(parts.database, iteration, key).await?;
    for listing in listings {
        image.list(listing);
    }
    let image = write_repository(parts.repos, key, links, image).await?;
    let mut transition = Transition::of(parts.database.write().await?);
    transition.complete(group).await?;
    let effects = transition.commit().await?;
    images.keep(iteration, key, image);
    let is_current = effects.ended_iterations.contains(&iteration)
        && match file_lists::update(parts, key, iteration).await {
            Ok(()) => true,
            Err(error) => {
                tracing::error!(
                    error = error.to_string(),
                    "cannot write file lists; will retry"
                );
                false
            }
        };
    if !is_current {
        parts.file_lists.enqueue(key.clone(), iteration);
    }
    parts.announcer.announce(effects);
    // Packages of other builds are only shared: those builds may still have to publish them.
    let uploads: Vec<PathBuf> = own
        .into_iter()
        .map(|attempt| parts.repos.uploads(attempt))
        .collect();
    // The files are linked into the repository. Removal happens in the background; a folder that remains is
    // removed at the next start.
    spawn_blocking_named("remove uploads", move || {
        for folder in uploads {
            let _ = fs_err::remove_dir_all(folder);
        }
    });
    Ok(())
}

/// A package file with its possible current locations.
struct PackageFile {
    attempt: AttemptId,
    name: PackageFileName,
    places: Vec<PathBuf>,
}

/// The packages of some builds.
struct Packages {
    files: Vec<PackageFile>,
    listings: Vec<Listing>,
    /// The attempts that belong to these builds themselves.
    own: Vec<AttemptId>,
}

/// Returns the packages of builds of one repository, and where their files may be: among the uploads, or in the
/// repository of the build that they were built for.
async fn package_files(
    parts: RepositoryParts<'_>,
    key: &RepositoryKey,
    group: &[BuildRow],
) -> Result<Packages, Error> {
    let reader = parts.database.read();
    let of_build: BTreeMap<AttemptId, &BuildRow> = group
        .iter()
        .filter_map(|build| Some((build.packages_attempt_id?, build)))
        .collect();
    let ids: Vec<AttemptId> = of_build.keys().copied().collect();
    // Reused packages are in the repository of the build that they were built for.
    let packages = packages::of_attempts(reader, &ids).await?;
    let builds_of: BTreeMap<AttemptId, BuildId> = packages
        .iter()
        .map(|package| (package.attempt, package.build))
        .filter(|(attempt, build)| of_build.get(attempt).map(|own| own.id) != Some(*build))
        .collect();
    let sources: Vec<BuildId> = builds_of.values().copied().collect();
    let sources = match sources.as_slice() {
        [] => Vec::new(),
        ids => builds::by_ids(reader, ids).await?,
    };
    let sources: BTreeMap<BuildId, PathBuf> = sources
        .into_iter()
        .map(|build| (build.id, parts.repos.folder(&RepositoryKey::of(&build))))
        .collect();
    let own_folder = parts.repos.folder(key);
    let mut files = Vec::new();
    let mut listings = Vec::new();
    for package in packages {
        let (attempt, name) = (package.attempt, package.file_name);
        let mut listing = package.listing;
        let source = builds_of.get(&attempt).and_then(|build| sources.get(build));
        let uploads = parts.repos.uploads(attempt);
        let folders = [Some(&uploads), source, Some(&own_folder)]
            .into_iter()
            .flatten();
        let places = folders.map(|folder| folder.join(name.as_str())).collect();
        files.push(PackageFile {
            attempt,
            name,
            places,
        });
        if let Some(build) = of_build.get(&attempt) {
            listing.stage = build.stage;
        }
        listings.push(listing);
    }
    let own = ids.into_iter().filter(|id| !builds_of.contains_key(id));
    Ok(Packages {
        files,
        listings,
        own: own.collect(),
    })
}

/// Links package files into the repository, then replaces the database. Durable when it returns.
async fn write_repository(
    repos: &Repos,
    key: &RepositoryKey,
    files: Vec<PackageFile>,
    mut image: DatabaseImage,
) -> Result<DatabaseImage, Error> {
    let (repos, key) = (repos.clone(), key.clone());
    let image = spawn_blocking_named("write repository", move || {
        for file in &files {
            link(&repos, &key, file)?;
        }
        // This also makes the names of the packages durable, because they are in the same folder.
        repos.replace(&repos.database(&key), &image.render()?)?;
        io::Result::Ok(image)
    })
    .await??;
    Ok(image)
}

fn link(repos: &Repos, key: &RepositoryKey, file: &PackageFile) -> io::Result<()> {
    for place in &file.places {
        if place.try_exists()? {
            let is_there = place.starts_with(repos.folder(key));
            return if is_there {
                Ok(())
            } else {
                repos.link(place, key, &file.name)
            };
        }
    }
    let PackageFile { attempt, name, .. } = file;
    Err(io::Error::other(format!(
        "{name} of attempt {attempt} is no longer on disk"
    )))
}
