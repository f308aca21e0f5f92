//! What planning an iteration led to.

use buildbtw_model::api::PlanNote;
use buildbtw_model::{Architecture, NoteKind};
use buildbtw_planner::{Footprint, Problem};

use crate::repos::base::BaseSnapshot;
use crate::sources::{Freshness, ResolvedChangeset};

use super::draft::{self, Draft};
use super::notes::Notes;
use super::plan_input::FilesBefore;

/// An iteration that can be stored.
pub struct PlannedIteration {
    pub(super) architectures: Vec<PlannedArchitecture>,
    pub(super) notes: Vec<(Architecture, PlanNote)>,
    /// How often the index of the sources had changed before it was made.
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
    /// How often the index of the sources had changed before it was made.
    #[must_use]
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// What tells later whether a change of a package can affect this plan, per architecture.
    #[must_use]
    pub fn footprints(&self) -> Vec<Footprint> {
        self.architectures
            .iter()
            .map(|part| part.footprint.clone())
            .collect()
    }

    /// The builds of an architecture as they can be compared with those of another iteration.
    /// What has the same files as `before` has the same revision.
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

    /// Adds what is worth knowing about the sources that it was made of.
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
