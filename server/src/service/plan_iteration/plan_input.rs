//! What an iteration is planned from.

use std::collections::HashMap;

use buildbtw_model::{CommitHash, NamespaceName, NetworkPolicy, Pkgbase, Scope, TreeHash};
use buildbtw_planner::Patterns;

use crate::db::NamespaceId;
use crate::db::packages::Produced;
use crate::repos::base::SnapshotDigests;
use crate::sources::ResolvedChangeset;

/// What an iteration is planned from.
#[derive(Clone)]
pub struct PlanInput {
    /// The namespace, when it exists already.
    pub namespace: Option<NamespaceId>,
    /// Its name, if it is known yet.
    pub name: Option<NamespaceName>,
    /// The origins at the commits they have now.
    pub origins: Vec<ResolvedChangeset>,
    /// How far the rebuild spreads.
    pub scope: Scope,
    /// What is rebuilt in any case.
    pub include: Patterns,
    /// What is never rebuilt.
    pub exclude: Patterns,
    /// Members of cycles that are built first without what they need of their cycle.
    pub bootstrap: Vec<Pkgbase>,
    /// Whether new versions of libraries are expected to keep their sonames.
    pub same_sonames: bool,
    /// Plans with more builds are refused.
    pub max_builds: u32,
    /// Whether rebuilt packages get a higher release.
    pub bump: bool,
    /// What its builds reach of the network.
    pub network: NetworkPolicy,
    /// The packages that earlier iterations of the namespace had, and of deleted ones of its name.
    pub produced: Vec<Produced>,
    /// The base snapshot of the iteration before; empty for a first one.
    pub snapshot: SnapshotDigests,
    /// Whether to plan with what the base repositories hold now, instead of that snapshot.
    pub refresh_base: bool,
}

/// The commits and trees of the iteration before.
pub(crate) type FilesBefore = HashMap<Pkgbase, (CommitHash, Option<TreeHash>)>;
