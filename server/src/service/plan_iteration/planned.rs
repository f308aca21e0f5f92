//! The result of planning an iteration.

use buildbtw_model::api::PlanNote;
use buildbtw_model::{Architecture, NoteKind};
use buildbtw_planner::{Footprint, Problem};

use crate::repos::base::BaseSnapshot;
use crate::sources::{Freshness, ResolvedChangeset};

use super::draft::{self, Draft};
use super::notes::Notes;
use super::plan_input::FilesBefore;

/// A planned iteration that is not stored yet.
pub struct PlannedIteration {
    pub(super) architectures: Vec<PlannedArchitecture>,
    pub(super) notes: Vec<(Architecture, PlanNote)>,
    /// The number of changes of the package index before the plan.
    pub(super) seen: u64,
}

/// The part of an iteration for one architecture.
pub struct PlannedArchitecture {
    pub(super) architecture: Architecture,
    pub(super) base: BaseSnapshot,
    pub(super) drafts: Vec<Draft>,
    pub(super) footprint: Footprint,
    pub(super) problems: Vec<Problem>,
    pub(super) notes: Notes,
}

impl PlannedIteration {
    /// Returns the number of changes of the package index before the plan.
    #[must_use]
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// Returns the footprint per architecture, by which changes that cannot affect the plan are recognized.
    #[must_use]
    pub fn footprints(&self) -> Vec<Footprint> {
        self.architectures
            .iter()
            .map(|part| part.footprint.clone())
            .collect()
    }

    /// Returns the builds of an architecture for a comparison with another iteration. Builds with the same files as in
    /// `before` have the same revision.
    pub(crate) fn snapshots(
        &self,
        before: &FilesBefore,
    ) -> Vec<(Architecture, Vec<buildbtw_planner::BuildSnapshot>)> {
        self.architectures
            .iter()
            .map(|part| {
                let builds = draft::snapshot(&part.drafts, before);
                (part.architecture.clone(), builds)
            })
            .collect()
    }

    /// Adds notes on the sources that the plan was made from.
    pub(crate) fn note_sources(
        &mut self,
        freshness: &Freshness,
        unusable: Option<String>,
        origins: &[ResolvedChangeset],
    ) {
        let gone = origins
            .iter()
            .filter(|origin| origin.is_gone)
            .map(|origin| {
                format!(
                    "{} no longer exists; it is still planned at {}",
                    origin.changeset,
                    origin.head.commit.short()
                )
            });
        let texts: Vec<String> = freshness
            .note()
            .into_iter()
            .chain(unusable)
            .chain(gone)
            .collect();
        for part in &self.architectures {
            for text in &texts {
                let note = PlanNote {
                    kind: NoteKind::Sources,
                    text: text.clone(),
                };
                self.notes.push((part.architecture.clone(), note));
            }
        }
    }
}
