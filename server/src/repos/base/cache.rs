//! A cache of base repositories. Each version of a database is unpacked once, and the databases of an architecture
//! are merged only when one of them has changed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use buildbtw_model::api::Repository;
use buildbtw_model::{Architecture, RepositoryName, Sha256Digest};
use buildbtw_planner::{BaseIndex, BasePackage};
use buildbtw_telemetry::spawn_blocking_named;
use sha2::Digest as _;

use super::database;
use super::fetch::{Fetched, Place, fetch};
use super::versions::{BaseVersion, BaseVersions};

/// Parsed databases. Bounded by the configured repositories.
#[derive(Debug, Default)]
pub(super) struct DatabaseCache {
    databases: Mutex<HashMap<(RepositoryName, Architecture), Arc<Database>>>,
    contents: Mutex<HashMap<Architecture, Contents>>,
}

/// A parsed database.
#[derive(Debug)]
pub(super) struct Database {
    place: Place,
    pub(super) digest: String,
    packages: Arc<[BasePackage]>,
    /// The memory of its packages, see [`database::cost`].
    pub(super) cost: usize,
}

/// The merged databases of an architecture.
#[derive(Clone, Debug)]
struct Contents {
    /// The digests of the databases.
    digests: Vec<String>,
    versions: Arc<BaseVersions>,
    packages: Arc<BaseIndex>,
}

impl DatabaseCache {
    /// Returns the current database of a repository, if its packages need at most `limit` bytes.
    pub(super) async fn database(
        &self,
        repository: &Repository,
        architecture: &Architecture,
        limit: usize,
    ) -> Result<Arc<Database>, String> {
        let key = (repository.name.clone(), architecture.clone());
        let known = lock(&self.databases).get(&key).cloned();
        let place = known.as_ref().map(|known| &known.place);
        let database = match (fetch(repository, architecture, place).await?, known) {
            (Fetched::Unchanged, Some(known)) => known,
            (Fetched::Unchanged, None) => {
                return Err(unexpected_304());
            }
            (Fetched::Content(place, bytes), known) => {
                let read =
                    spawn_blocking_named("read base database", move || read(place, &bytes, known));
                let read = read.await.map_err(|error| error.to_string())?;
                let database = Arc::new(read?);
                lock(&self.databases).insert(key, Arc::clone(&database));
                database
            }
        };
        if database.cost > limit {
            return Err(too_many_packages());
        }
        Ok(database)
    }

    /// Removes the databases of other repositories than these.
    pub(super) fn retain(&self, is_kept: impl Fn(&RepositoryName, &Architecture) -> bool) {
        lock(&self.databases).retain(|(name, architecture), _| is_kept(name, architecture));
    }

    /// Returns the merged contents of databases, in pacman's order.
    pub(super) async fn contents(
        &self,
        architecture: &Architecture,
        databases: Vec<Arc<Database>>,
    ) -> Result<(Arc<BaseVersions>, Arc<BaseIndex>), String> {
        let digests: Vec<String> = databases
            .iter()
            .map(|database| database.digest.clone())
            .collect();
        let known = lock(&self.contents).get(architecture).cloned();
        if let Some(known) = known.filter(|known| known.digests == digests) {
            return Ok((known.versions, known.packages));
        }
        let merged = spawn_blocking_named("merge base databases", move || merge(&databases));
        let (versions, packages) = merged.await.map_err(|error| error.to_string())?;
        let (versions, packages) = (Arc::new(versions), Arc::new(packages));
        let contents = Contents {
            digests,
            versions: Arc::clone(&versions),
            packages: Arc::clone(&packages),
        };
        lock(&self.contents).insert(architecture.clone(), contents);
        Ok((versions, packages))
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Parses a database, unless it has the same content as the known one.
fn read(place: Place, bytes: &[u8], known: Option<Arc<Database>>) -> Result<Database, String> {
    let digest: [u8; 32] = sha2::Sha256::digest(bytes).into();
    let digest = Sha256Digest::from_bytes(&digest).to_string();
    if let Some(known) = known.filter(|known| known.digest == digest) {
        return Ok(Database {
            place,
            digest,
            packages: Arc::clone(&known.packages),
            cost: known.cost,
        });
    }
    let packages =
        database::read(bytes).map_err(|error| format!("not a repository database: {error}"))?;
    Ok(Database {
        place,
        digest,
        cost: packages.iter().map(database::cost).sum(),
        packages: packages.into(),
    })
}

fn merge(databases: &[Arc<Database>]) -> (BaseVersions, BaseIndex) {
    let packages = || databases.iter().flat_map(|database| &*database.packages);
    let versions = packages().map(|package| {
        let version = BaseVersion {
            pkgbase: package.pkgbase.clone(),
            version: package.version.clone(),
        };
        (package.name.clone(), version)
    });
    let packages = packages().cloned().collect();
    (versions.collect(), BaseIndex::new(packages))
}

fn unexpected_304() -> String {
    "its server responded with 304 to an unconditional request".to_owned()
}

fn too_many_packages() -> String {
    format!(
        "its packages and those of the other base repositories need more than {} MiB of memory",
        database::MAX_KEPT >> 20
    )
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::http::{HeaderMap, StatusCode, header};
    use axum::response::IntoResponse as _;

    use super::*;
    use crate::repos::base::BaseRepositories;
    use crate::repos::database::{Entry, render};

    fn database(version: &str) -> Vec<u8> {
        let (name, version) = ("greet".parse().unwrap(), version.parse().unwrap());
        let entry = Entry {
            name: &name,
            version: &version,
            desc: "",
            files: None,
        };
        render([entry]).unwrap()
    }

    /// A mirror that reports the version of its database.
    struct Mirror {
        content: Mutex<(&'static str, Vec<u8>)>,
        sent: AtomicUsize,
    }

    impl Mirror {
        fn respond(&self, headers: &HeaderMap) -> axum::response::Response {
            let (tag, bytes) = lock(&self.content).clone();
            if headers
                .get(header::IF_NONE_MATCH)
                .is_some_and(|known| known == tag)
            {
                return StatusCode::NOT_MODIFIED.into_response();
            }
            self.sent.fetch_add(1, Ordering::Relaxed);
            ([(header::ETAG, tag)], bytes).into_response()
        }
    }

    #[test]
    fn errors_match_snapshot() {
        insta::assert_snapshot!([unexpected_304(), too_many_packages()].join("\n"));
    }

    #[tokio::test]
    async fn reads_each_database_version_once() {
        let mirror = Arc::new(Mirror {
            content: Mutex::new(("\"one\"", database("1-1"))),
            sent: AtomicUsize::new(0),
        });
        let served = Arc::clone(&mirror);
        let respond = move |headers: HeaderMap| async move { served.respond(&headers) };
        let router = axum::Router::new().fallback(respond);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("base.toml");
        let text = format!(
            "[[repository]]\nname = \"core\"\narchitectures = [\"x86_64\"]\nservers = \
             [\"http://{address}/$repo\"]\n"
        );
        fs_err::write(&config, text).unwrap();
        let base = BaseRepositories::read(&config).unwrap();
        let architecture: Architecture = "x86_64".parse().unwrap();
        let snapshot = async || base.snapshot(&architecture).await;

        let (first, again) = (snapshot().await, snapshot().await);
        assert!(
            first.is_complete && again.is_complete,
            "{:?}",
            again.databases
        );
        assert_eq!(mirror.sent.load(Ordering::Relaxed), 1);
        assert!(Arc::ptr_eq(&first.packages, &again.packages));
        assert_eq!(again.versions.of("greet")[0].version.as_str(), "1-1");

        // The same content with another tag is unchanged.
        *lock(&mirror.content) = ("\"two\"", database("1-1"));
        let same = snapshot().await;
        assert_eq!(mirror.sent.load(Ordering::Relaxed), 2);
        assert!(Arc::ptr_eq(&first.packages, &same.packages));

        *lock(&mirror.content) = ("\"three\"", database("1-2"));
        let other = snapshot().await;
        assert!(!Arc::ptr_eq(&first.packages, &other.packages));
        assert_eq!(other.versions.of("greet")[0].version.as_str(), "1-2");
        assert_ne!(first.databases, other.databases);
    }
}
