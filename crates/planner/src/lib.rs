//! Plans rebuilds: which packages are rebuilt, in which order and why.
//!
//! The planner is pure and synchronous: it computes a plan from an index of `.SRCINFO`s and a request, and does not
//! read files, clocks or databases.
//!
//! ```
//! use std::sync::Arc;
//!
//! use buildbtw_model::Scope;
//! use buildbtw_planner::{PackageIndex, PlanRequest, parse_srcinfo, plan};
//!
//! let library = "pkgbase = libgreet\npkgver = 1\npkgrel = 1\narch = x86_64\npkgname = libgreet\n";
//! let program = "pkgbase = greet\npkgver = 1\npkgrel = 1\narch = x86_64\ndepends = libgreet\npkgname = greet\n";
//! let library = Arc::new(parse_srcinfo(library)?);
//! let mut index = PackageIndex::new();
//! index.insert(Arc::clone(&library));
//! index.insert(Arc::new(parse_srcinfo(program)?));
//!
//! let request = PlanRequest::new("x86_64".parse()?, vec![library], Scope::Transitive);
//! let plan = plan(&index, &request);
//! let order: Vec<&str> = plan.builds.iter().map(|build| build.pkgbase.as_str()).collect();
//! assert_eq!(order, ["libgreet", "greet"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod base;
mod budget;
mod diff;
mod index;
mod longest_path;
mod plan;
mod relation;
pub mod render;
pub mod simulate;
mod sonames;
mod sparse;
mod srcinfo;
mod world;

pub use base::{BaseIndex, BasePackage};
pub use budget::{Budget, TimedOut, Unlimited, Until};
pub use diff::{BuildSnapshot, ChangedBuild, PlanDiff, diff};
pub use index::{DependencyKind, IndexChange, PackageIndex};
pub use plan::{
    AssignedVersions, Bootstrapped, BrokenEdge, BuildFacts, Cycle, Estimate, Estimates, Footprint,
    InvalidPatterns, Need, NeedsBootstrap, NoEstimates, Patterns, Plan, PlanRequest, PlannedBuild,
    PlannedVersion, Problem, ProblemKind, Unresolved, VersionedPackage, computes_version, plan,
    plan_with_footprint, plan_with_footprint_within, plan_within, quantile, same_packages,
    unmet_constraints,
};
pub use sonames::{Soname, Sonames};
pub use srcinfo::{LineProblem, Package, SourcePackage, SrcinfoError, parse_srcinfo};
