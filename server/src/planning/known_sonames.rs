//! Who links which library, for plans: as packages told that were built here, and as base repositories
//! list it.
//!
//! Of a package that was built several times, what it links is taken from the version that base has, else from
//! the last one. What it has counts from every version: whoever links an old one has to be rebuilt still. Of
//! packages that were never built here nothing is known but the libraries that base lists as provided and
//! needed; databases with lists of files tell names of files, not who links them.
//!
//! It is put together when a plan needs it and something of it has changed, within the time that the plan may take.

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

/// What is known, per architecture. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct KnownSonames(Arc<Mutex<HashMap<Architecture, CacheEntry>>>);

/// What was put together for an architecture, and from what.
#[derive(Clone, Debug)]
struct CacheEntry {
    /// How often the packages that were built here had changed.
    changes: i64,
    base: Arc<BaseIndex>,
    sonames: Arc<Sonames>,
}

impl KnownSonames {
    /// What is known for an architecture. It is asked for when the plan has its turn.
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

/// Gets what is known on the thread that plans.
pub(crate) struct Lookup {
    known: KnownSonames,
    reader: SqlitePool,
    runtime: Handle,
    architecture: Architecture,
}

impl Lookup {
    /// What is known now, beside what these base repositories list.
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
        // What changes after the count was read is read again by the next plan.
        let linked = linked_packages::all(&self.reader, &self.architecture);
        let linked = self.runtime.block_on(linked).map_err(Error::from)?;
        let sonames = Arc::new(known(&linked, base, budget)?);
        let kept = CacheEntry {
            changes,
            base: Arc::clone(&base.packages),
            sonames: Arc::clone(&sonames),
        };
        self.known.lock().insert(self.architecture.clone(), kept);
        Ok(sonames)
    }
}

/// Puts together what is known. `packages` holds the versions of each package one after the other, the
/// last accepted one first.
fn known<B: Budget>(
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
                    known.add_link(package.pkgname.as_str(), &converted(soname));
                }
            }
            has.extend(linked.has.iter().map(converted));
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

fn converted(soname: &buildbtw_package::Soname) -> Soname {
    Soname {
        name: soname.name.as_str().into(),
        is_64_bit: soname.is_64_bit,
    }
}
