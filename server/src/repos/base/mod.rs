//! The base repositories, with the packages of the distribution. Builds install from them, and a rebuild must have
//! a higher release than theirs.

mod cache;
mod config;
mod database;
mod fetch;
mod versions;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use buildbtw_model::api::Repository;
use buildbtw_model::{Architecture, Explanation, NamespaceName, RepositoryName};
use buildbtw_planner::BaseIndex;
use tokio::sync::Mutex;

pub use versions::{BaseVersion, BaseVersions};

use cache::DatabaseCache;
use config::BaseRepository;

/// The maximum age of a snapshot for a plan that stores nothing.
const RECENT: Duration = Duration::from_secs(60);

/// All base repositories, in pacman's order.
#[derive(Clone, Debug, Default)]
pub struct BaseRepositories {
    /// Replaced when the configuration is read again.
    repositories: Arc<RwLock<Arc<[BaseRepository]>>>,
    /// The last results of [`BaseRepositories::recent`].
    recent: Arc<Mutex<HashMap<Architecture, Recent>>>,
    /// The parsed databases.
    cache: Arc<DatabaseCache>,
}

/// A snapshot with the time at which it was taken.
type Recent = (Instant, Arc<BaseSnapshot>);

/// The contents of the base repositories of one architecture at one time.
#[derive(Clone, Debug, Default)]
pub struct BaseSnapshot {
    /// For each repository the digest of its database, or why it could not be read.
    pub databases: Vec<(RepositoryName, Result<String, String>)>,
    /// The versions of each package in all repositories.
    pub versions: Arc<BaseVersions>,
    /// All packages, with their dependencies and provides.
    pub packages: Arc<BaseIndex>,
    /// Whether all databases could be read, so that a missing package does not exist.
    pub is_complete: bool,
}

/// The digests of base repository databases.
pub type SnapshotDigests = HashMap<(Architecture, RepositoryName), String>;

impl BaseSnapshot {
    /// Returns the first repository that cannot be read although an earlier snapshot has its digest, with the
    /// error.
    pub fn newly_unreadable(
        &self,
        architecture: &Architecture,
        earlier: &SnapshotDigests,
    ) -> Option<(&RepositoryName, &str)> {
        self.databases.iter().find_map(|(repository, digest)| {
            let problem = digest.as_ref().err()?;
            let key = (architecture.clone(), repository.clone());
            earlier
                .contains_key(&key)
                .then_some((repository, problem.as_str()))
        })
    }

    /// Replaces digests by those of an earlier snapshot, and returns the repositories that have changed since.
    /// Unreadable repositories stay unreadable.
    pub fn pin_digests(
        &mut self,
        architecture: &Architecture,
        earlier: &SnapshotDigests,
    ) -> Vec<RepositoryName> {
        let mut moved = Vec::new();
        for (repository, digest) in &mut self.databases {
            let key = (architecture.clone(), repository.clone());
            let (Ok(now), Some(before)) = (digest, earlier.get(&key)) else {
                continue;
            };
            if now != before {
                moved.push(repository.clone());
                now.clone_from(before);
            }
        }
        moved
    }

    /// Returns whether base repositories are configured and one could not be read.
    #[must_use]
    pub fn is_incomplete(&self) -> bool {
        !self.databases.is_empty() && !self.is_complete
    }
}

/// What a plan lacks when a base repository cannot be read.
pub const NOT_CHECKED: &str = "releases, chains of dependencies through base packages and first builds of \
    cycles were not checked against the base repositories";

impl BaseRepositories {
    /// Reads the configuration file.
    ///
    /// # Errors
    /// When it cannot be read, or is invalid.
    pub fn read(path: &Path) -> Result<Self, Explanation> {
        Ok(Self {
            repositories: Arc::new(RwLock::new(config::read(path)?.into())),
            recent: Arc::default(),
            cache: Arc::default(),
        })
    }

    /// Replaces the repositories by those of another configuration.
    pub fn replace(&self, other: &Self) {
        let new = other.configured();
        let is_kept = |name: &RepositoryName, architecture: &Architecture| {
            let mut same = new.iter().filter(|repository| repository.name == *name);
            same.any(|repository| repository.architectures.contains(architecture))
        };
        self.cache.retain(is_kept);
        let mut current = self
            .repositories
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *current = new;
    }

    fn configured(&self) -> Arc<[BaseRepository]> {
        let current = self.repositories.read();
        Arc::clone(&current.unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns whether a namespace of this name would hide a base repository.
    #[must_use]
    pub fn conflicts_with(&self, name: &NamespaceName) -> bool {
        self.configured()
            .iter()
            .any(|repository| repository.name.as_str() == name.as_str())
    }

    /// Returns the repositories that builds of this architecture install from.
    #[must_use]
    pub fn of(&self, architecture: &Architecture) -> Vec<Repository> {
        self.configured()
            .iter()
            .filter(|repository| repository.architectures.contains(architecture))
            .map(|repository| Repository {
                name: repository.name.clone(),
                servers: repository.servers.clone(),
                sig_level: repository.sig_level.clone(),
            })
            .collect()
    }

    /// Returns a snapshot that is at most a minute old, for plans that store nothing, which anonymous clients may
    /// request.
    pub async fn recent(&self, architecture: &Architecture) -> Arc<BaseSnapshot> {
        // Concurrent callers wait for the same snapshot.
        let mut recent = self.recent.lock().await;
        if let Some((taken_at, snapshot)) = recent.get(architecture)
            && taken_at.elapsed() < RECENT
        {
            return Arc::clone(snapshot);
        }
        let snapshot = Arc::new(self.snapshot(architecture).await);
        recent.insert(
            architecture.clone(),
            (Instant::now(), Arc::clone(&snapshot)),
        );
        snapshot
    }

    /// Takes a snapshot, for which it fetches the databases that have changed. An unreadable one is reported in the
    /// result and does not affect the others.
    pub async fn snapshot(&self, architecture: &Architecture) -> BaseSnapshot {
        let mut databases = Vec::new();
        let mut read = Vec::new();
        let mut left = database::MAX_KEPT;
        for repository in self.of(architecture) {
            let found = self.cache.database(&repository, architecture, left).await;
            let digest = found.map(|database| {
                left = left.saturating_sub(database.cost);
                let digest = database.digest.clone();
                read.push(database);
                digest
            });
            if let Err(problem) = &digest {
                tracing::warn!(
                    repository.name = repository.name.as_str(),
                    problem,
                    "cannot read a base repository"
                );
            }
            databases.push((repository.name, digest));
        }
        let mut is_complete =
            !databases.is_empty() && databases.iter().all(|(_, digest)| digest.is_ok());
        let contents = self.cache.contents(architecture, read).await;
        let (versions, packages) = contents.unwrap_or_else(|error| {
            tracing::error!(error, "cannot merge the base repositories");
            is_complete = false;
            Default::default()
        });
        BaseSnapshot {
            databases,
            versions,
            packages,
            is_complete,
        }
    }
}
