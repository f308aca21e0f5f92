//! What the sources tell the replanner.

use std::collections::BTreeSet;

use buildbtw_model::Pkgbase;
use buildbtw_planner::IndexChange;

use crate::db::NamespaceId;

/// What happened in the sources.
#[derive(Debug)]
pub enum SourceEvent {
    /// Refs of these packages' repositories may have moved.
    Touched(BTreeSet<Pkgbase>),
    /// The index changed.
    Indexed(Vec<IndexChange>),
    /// Everything was looked at again.
    Resynced,
    /// The index changed while this namespace was planned.
    ChangedDuringPlanning(NamespaceId),
}
