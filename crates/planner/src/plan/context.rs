//! The input of the last planning steps.

use std::sync::Arc;

use super::graph::Findings;
use super::members::Members;
use super::request::PlanRequest;
use crate::srcinfo::SourcePackage;
use crate::world::World;

/// Everything that a plan is written from, except for the builds.
pub(super) struct PlanContext<'p, 'i> {
    pub(super) world: &'p World<'i>,
    pub(super) request: &'p PlanRequest<'p>,
    pub(super) origins: &'p [Arc<SourcePackage>],
    pub(super) members: &'p Members,
    pub(super) findings: &'p Findings,
}
