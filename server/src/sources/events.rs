//! Events of the sources for the replanner.

use std::collections::BTreeSet;

use buildbtw_model::Pkgbase;
use buildbtw_planner::IndexChange;

use crate::db::NamespaceId;

/// An event of the sources.
#[derive(Debug)]
pub enum SourceEvent {
    /// Refs of these packages' repositories may have moved.
    Touched(BTreeSet<Pkgbase>),
    /// The index changed.
    Indexed(Vec<IndexChange>),
    /// A full resync has ended.
    Resynced,
    /// The index changed while this namespace was planned.
    ChangedDuringPlanning(NamespaceId),
}
