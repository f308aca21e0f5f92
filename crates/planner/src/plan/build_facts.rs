//! What callers know about a build of a plan from earlier builds.

use buildbtw_model::api::{PlanFailure, PlanReuse};

/// What a caller knows about a build of a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BuildFacts {
    /// The packages that would be reused instead of building it.
    pub reuse: Option<PlanReuse>,
    /// The failure of the newest attempt at its package.
    pub last_failure: Option<PlanFailure>,
}
