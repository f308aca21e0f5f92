//! The base repositories: what the distribution has already. Builds install from them, and a rebuild
//! must have a higher release than what they hold.

mod database;

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use buildbtw_model::api::Repository;
use buildbtw_model::{Architecture, NamespaceName, PackageVersion, Pkgname, RepositoryName};
use buildbtw_planner::{BaseIndex, BasePackage};
use serde::Deserialize;
use tokio::sync::Mutex;

/// A larger database is not one: Arch's largest has about 10 MiB.
const MAX_DATABASE: u64 = 256 << 20;
const FETCH_TIMEOUT: Duration = Duration::from_secs(30);
/// How old a snapshot may be for a plan that stores nothing.
const RECENT: Duration = Duration::from_secs(60);

/// Why the file with the base repositories cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BaseConfigError {
    /// It cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It does not say what it should.
    #[error("{path}: {reason}")]
    Invalid {
        /// The file.
        path: String,
        /// What is wrong, with line and column.
        reason: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigFile {
    #[serde(default)]
    repository: Vec<BaseRepository>,
}

/// One base repository as it is configured.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct BaseRepository {
    name: RepositoryName,
    architectures: Vec<Architecture>,
    servers: Vec<String>,
    #[serde(default = "default_sig_level")]
    sig_level: String,
}

fn default_sig_level() -> String {
    "Required DatabaseOptional".into()
}

/// All base repositories, in the order in which pacman looks at them.
#[derive(Clone, Debug, Default)]
pub struct BaseRepositories {
    repositories: Arc<[BaseRepository]>,
    /// What [`BaseRepositories::recent`] read last.
    recent: Arc<Mutex<HashMap<Architecture, Recent>>>,
}

/// A snapshot, and when it was made.
type Recent = (Instant, Arc<BaseSnapshot>);

/// What the base repositories of one architecture hold at a moment.
#[derive(Clone, Debug, Default)]
pub struct BaseSnapshot {
    /// Per repository the digest of its database, or why it could not be read.
    pub databases: Vec<(RepositoryName, Result<String, String>)>,
    /// The versions of each package, whichever repository has it.
    pub versions: HashMap<Pkgname, Vec<PackageVersion>>,
    /// All packages, with what they need and provide.
    pub packages: Arc<BaseIndex>,
    /// Whether all databases could be read, so that what is not there does not exist.
    pub is_complete: bool,
}

impl BaseSnapshot {
    /// Keeps the digests of an earlier snapshot where it has one, and returns the repositories that
    /// have changed since.
    pub fn keep(
        &mut self,
        architecture: &Architecture,
        earlier: Option<&HashMap<(Architecture, RepositoryName), String>>,
    ) -> Vec<RepositoryName> {
        let mut moved = Vec::new();
        for (repository, digest) in &mut self.databases {
            let key = (architecture.clone(), repository.clone());
            let Some(before) = earlier.and_then(|earlier| earlier.get(&key)) else {
                continue;
            };
            if digest.as_ref().is_ok_and(|now| now != before) {
                moved.push(repository.clone());
            }
            *digest = Ok(before.clone());
        }
        moved
    }
}

impl BaseRepositories {
    /// Reads the configuration file.
    ///
    /// # Errors
    /// When it cannot be read or used.
    pub fn read(path: &Path) -> Result<Self, BaseConfigError> {
        let text = fs_err::read_to_string(path)?;
        let invalid = |reason: String| BaseConfigError::Invalid {
            path: path.display().to_string(),
            reason,
        };
        let file: ConfigFile = toml::from_str(&text).map_err(|error| invalid(error.to_string()))?;
        for repository in &file.repository {
            if repository.servers.is_empty() || repository.architectures.is_empty() {
                let name = &repository.name;
                return Err(invalid(format!("[{name}] needs servers and architectures")));
            }
            // Both become lines of pacman.conf.
            let lines = repository.servers.iter().chain([&repository.sig_level]);
            if lines.into_iter().any(|line| line.contains(['\n', '\r'])) {
                return Err(invalid(format!(
                    "[{}] has a line break in it",
                    repository.name
                )));
            }
        }
        Ok(Self {
            repositories: file.repository.into(),
            recent: Arc::default(),
        })
    }

    /// Whether a namespace of this name would hide a base repository.
    #[must_use]
    pub fn conflicts_with(&self, name: &NamespaceName) -> bool {
        self.repositories
            .iter()
            .any(|repository| repository.name.as_str() == name.as_str())
    }

    /// What a build of this architecture installs from.
    #[must_use]
    pub fn of(&self, architecture: &Architecture) -> Vec<Repository> {
        self.repositories
            .iter()
            .filter(|repository| repository.architectures.contains(architecture))
            .map(|repository| Repository {
                name: repository.name.clone(),
                servers: repository.servers.clone(),
                sig_level: repository.sig_level.clone(),
            })
            .collect()
    }

    /// The databases of an architecture as they were within the last minute: for plans that store
    /// nothing, which anybody may ask for.
    pub async fn recent(&self, architecture: &Architecture) -> Arc<BaseSnapshot> {
        // Whoever asks meanwhile waits for the same answer.
        let mut recent = self.recent.lock().await;
        if let Some((made, snapshot)) = recent.get(architecture)
            && made.elapsed() < RECENT
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

    /// Fetches the databases of an architecture. One that cannot be read is reported in the result
    /// and does not stop the others.
    pub async fn snapshot(&self, architecture: &Architecture) -> BaseSnapshot {
        let mut snapshot = BaseSnapshot::default();
        let mut packages = Vec::new();
        for repository in self.of(architecture) {
            let fetched = fetch(&repository, architecture).await;
            let digest = match fetched {
                Ok(bytes) => read(bytes, &mut packages).await,
                Err(reason) => Err(reason),
            };
            if let Err(problem) = &digest {
                tracing::warn!(
                    repository.name = repository.name.as_str(),
                    problem,
                    "cannot read a base repository"
                );
            }
            snapshot.databases.push((repository.name, digest));
        }
        snapshot.is_complete = !snapshot.databases.is_empty()
            && snapshot.databases.iter().all(|(_, digest)| digest.is_ok());
        for BasePackage { name, version, .. } in &packages {
            let versions = snapshot.versions.entry(name.clone()).or_default();
            versions.push(version.clone());
        }
        snapshot.packages = Arc::new(BaseIndex::new(packages));
        snapshot
    }
}

/// Fetches a database from the first server that has it.
async fn fetch(repository: &Repository, architecture: &Architecture) -> Result<Vec<u8>, String> {
    let mut problem = "it has no servers".to_owned();
    for server in &repository.servers {
        let server = server
            .replace("$repo", repository.name.as_str())
            .replace("$arch", architecture.as_str());
        let url = format!("{}/{}.db", server.trim_end_matches('/'), repository.name);
        let fetched = match url.strip_prefix("file://") {
            Some(path) => fs_err::tokio::read(path)
                .await
                .map_err(|error| error.to_string()),
            None => fetch_http(&url).await,
        };
        match fetched {
            Ok(bytes) => return Ok(bytes),
            Err(reason) => problem = format!("{url}: {reason}"),
        }
    }
    Err(problem)
}

async fn fetch_http(url: &str) -> Result<Vec<u8>, String> {
    let fetch = async {
        let client = reqwest::Client::builder().timeout(FETCH_TIMEOUT).build()?;
        let mut response = client.get(url).send().await?.error_for_status()?;
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() as u64 > MAX_DATABASE {
                break;
            }
        }
        Ok::<_, reqwest::Error>(bytes)
    };
    let bytes = fetch
        .await
        .map_err(|error| error.without_url().to_string())?;
    if bytes.len() as u64 > MAX_DATABASE {
        return Err(format!("larger than {} MiB", MAX_DATABASE >> 20));
    }
    Ok(bytes)
}

/// Reads a database and adds its packages to others; returns its digest.
async fn read(bytes: Vec<u8>, packages: &mut Vec<BasePackage>) -> Result<String, String> {
    let parse = move || {
        use sha2::Digest as _;
        let digest: [u8; 32] = sha2::Sha256::digest(&bytes).into();
        let digest = buildbtw_model::Sha256Digest::from_bytes(&digest).to_string();
        database::read(&bytes).map(|packages| (digest, packages))
    };
    let parsed = tokio::task::spawn_blocking(parse)
        .await
        .map_err(|error| error.to_string())?;
    let (digest, found) = parsed.map_err(|error| format!("not a repository database: {error}"))?;
    packages.extend(found);
    Ok(digest)
}
