//! The input of a plan.

use std::collections::HashMap;

use buildbtw_model::{CommitHash, NamespaceName, NetworkPolicy, Pkgbase, Scope, TreeHash};
use buildbtw_planner::Patterns;

use crate::db::NamespaceId;
use crate::db::packages::Produced;
use crate::repos::base::SnapshotDigests;
use crate::sources::ResolvedChangeset;

/// The input of a plan.
#[derive(Clone)]
pub struct PlanInput {
    /// The namespace, if it already exists.
    pub namespace: Option<NamespaceId>,
    /// Its name, if it is already known.
    pub name: Option<NamespaceName>,
    /// The origins at their current commits.
    pub origins: Vec<ResolvedChangeset>,
    /// How far the rebuild spreads.
    pub scope: Scope,
    /// Patterns of pkgbases that are always rebuilt.
    pub include: Patterns,
    /// Patterns of pkgbases that are never rebuilt.
    pub exclude: Patterns,
    /// The members of cycles that get a bootstrap build.
    pub bootstrap: Vec<Pkgbase>,
    /// Whether new versions of libraries are expected to keep their sonames.
    pub same_sonames: bool,
    /// The maximum number of builds.
    pub max_builds: u32,
    /// Whether rebuilt packages get a release bump.
    pub bump: bool,
    /// The network policy of its builds.
    pub network: NetworkPolicy,
    /// The packages of earlier iterations of the namespace, and of deleted namespaces of the same name.
    pub produced: Vec<Produced>,
    /// The base snapshot of the previous iteration; empty for a first one.
    pub snapshot: SnapshotDigests,
    /// Whether to plan with the current base repositories instead of that snapshot.
    pub refresh_base: bool,
}

/// The commits and trees of the previous iteration.
pub(crate) type FilesBefore = HashMap<Pkgbase, (CommitHash, Option<TreeHash>)>;
