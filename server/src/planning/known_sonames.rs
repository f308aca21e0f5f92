//! Which packages link which libraries: as read from packages that were built here, and as listed by base
//! repositories.
//!
//! If a package was built several times, its links come from the version in base, or else from the newest
//! one. The libraries that it contains count from all versions, since packages that link an old one still
//! have to be rebuilt. For packages that were never built here, only the libraries that base lists as
//! provided or needed are known; file lists have names of files, but not their links.
//!
//! The data is collected when a plan needs it and it has changed, within the plan's time limit.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use buildbtw_model::Architecture;
use buildbtw_package::Sonames as Linked;
use buildbtw_planner::{BaseIndex, Budget, Soname, Sonames};
use sqlx::SqlitePool;
use tokio::runtime::Handle;

use crate::db::Database;
use crate::db::linked_packages::{self, LinkedPackage};
use crate::error::Error;
use crate::repos::base::BaseSnapshot;

use super::queue::{PlanBudget, PlanError};

/// Cached sonames per architecture. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct KnownSonames(Arc<Mutex<HashMap<Architecture, CacheEntry>>>);

/// The sonames of an architecture, and the state that they were collected from.
#[derive(Clone, Debug)]
struct CacheEntry {
    /// The change count of the packages that were built here.
    changes: i64,
    base: Arc<BaseIndex>,
    sonames: Arc<Sonames>,
}

impl KnownSonames {
    /// Returns a lookup for an architecture, to run when the plan has its turn.
    pub(crate) fn of(&self, database: &Database, architecture: &Architecture) -> Lookup {
        Lookup {
            known: self.clone(),
            reader: database.read().clone(),
            runtime: Handle::current(),
            architecture: architecture.clone(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Architecture, CacheEntry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gets the sonames on the planning thread.
pub(crate) struct Lookup {
    known: KnownSonames,
    reader: SqlitePool,
    runtime: Handle,
    architecture: Architecture,
}

impl Lookup {
    /// Returns the current sonames, including what these base repositories list.
    pub(crate) fn get(
        &self,
        base: &BaseSnapshot,
        budget: &PlanBudget,
    ) -> Result<Arc<Sonames>, PlanError> {
        let changes = linked_packages::changes(&self.reader, &self.architecture);
        let changes = self.runtime.block_on(changes).map_err(Error::from)?;
        let kept = self.known.lock().get(&self.architecture).cloned();
        let is_current =
            |kept: &CacheEntry| kept.changes == changes && Arc::ptr_eq(&kept.base, &base.packages);
        if let Some(kept) = kept.filter(is_current) {
            return Ok(kept.sonames);
        }
        // Changes after the count was read are read by the next plan.
        let linked = linked_packages::all(&self.reader, &self.architecture);
        let linked = self.runtime.block_on(linked).map_err(Error::from)?;
        let sonames = Arc::new(collect(&linked, base, budget)?);
        let kept = CacheEntry {
            changes,
            base: Arc::clone(&base.packages),
            sonames: Arc::clone(&sonames),
        };
        self.known.lock().insert(self.architecture.clone(), kept);
        Ok(sonames)
    }
}

/// Collects the sonames. `packages` has the versions of each package in sequence, the newest first.
fn collect<B: Budget>(
    packages: &[LinkedPackage],
    base: &BaseSnapshot,
    budget: &B,
) -> Result<Sonames, B::Over> {
    let mut known = Sonames::default();
    for versions in packages.chunk_by(|a, b| a.pkgname == b.pkgname) {
        budget.check()?;
        let is_in_base = |package: &&LinkedPackage| {
            let mut listed = base.versions.of(package.pkgname.as_str()).iter();
            listed.any(|listed| listed.version == package.version)
        };
        let current = versions.iter().find(is_in_base).or(versions.first());
        let mut has = BTreeSet::new();
        for package in versions {
            let Ok(linked) = package.sonames.parse::<Linked>() else {
                tracing::warn!(
                    package.name = package.pkgname.as_str(),
                    "cannot parse the stored sonames of a package"
                );
                continue;
            };
            if current.is_some_and(|current| current.version == package.version) {
                for soname in &linked.links {
                    known.add_link(package.pkgname.as_str(), &to_soname(soname));
                }
            }
            has.extend(linked.has.iter().map(to_soname));
        }
        for soname in has {
            if let Some(package) = current {
                known.add_library(package.pkgname.as_str(), &soname);
            }
        }
    }
    for package in base.packages.packages() {
        budget.check()?;
        let name = package.name.as_str();
        for relation in &package.provides {
            if let Some(soname) = Soname::of_relation(relation) {
                known.add_library(name, &soname);
            }
        }
        for relation in &package.depends {
            if let Some(soname) = Soname::of_relation(relation) {
                known.add_link(name, &soname);
            }
        }
    }
    Ok(known)
}

fn to_soname(soname: &buildbtw_package::Soname) -> Soname {
    Soname {
        name: soname.name.as_str().into(),
        is_64_bit: soname.is_64_bit,
    }
}
