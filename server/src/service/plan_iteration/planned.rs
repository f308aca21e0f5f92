//! The results of planning an iteration.

use buildbtw_model::api::PlanNote;
use buildbtw_model::{Architecture, NoteKind, RepositoryName};
use buildbtw_planner::{Budget as _, Footprint, Plan, TimedOut};

use crate::planning::queue::PlanBudget;
use crate::repos::base::BaseSnapshot;
use crate::sources::{CatalogSnapshot, Freshness, ResolvedChangeset};

use super::draft::{self, Draft};
use super::inputs::{BuildSettings, Inputs, input_hash};
use super::plan_input::FilesBefore;

/// A planned iteration without what only a stored one needs. A namespace that is planned again usually has the same
/// plan, and then nothing else is computed.
pub struct DraftedIteration {
    pub(super) architectures: Vec<PlannedArchitecture>,
    /// The sources that it was planned from.
    pub(super) snapshot: CatalogSnapshot,
}

/// A planned iteration that is not stored yet.
pub struct PlannedIteration {
    pub(super) architectures: Vec<PlannedArchitecture>,
    pub(super) notes: Vec<(Architecture, PlanNote)>,
}

/// The part of an iteration for one architecture.
pub struct PlannedArchitecture {
    pub(super) architecture: Architecture,
    pub(super) base: BaseSnapshot,
    pub(super) drafts: Vec<Draft>,
    pub(super) footprint: Footprint,
    pub(super) plan: Plan,
    /// The base repositories that differ from those of the previous iteration.
    pub(super) moved: Vec<RepositoryName>,
}

impl DraftedIteration {
    /// Returns the number of changes of the package index before the plan.
    #[must_use]
    pub fn seen(&self) -> u64 {
        self.snapshot.changes()
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
}

impl PlannedIteration {
    /// Adds notes on the sources that the plan was made from.
    pub(crate) fn note_sources(
        &mut self,
        freshness: &Freshness,
        unusable: Option<String>,
        origins: &[ResolvedChangeset],
    ) {
        let removed = origins
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
            .chain(removed)
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

/// Computes the input hashes of an architecture's builds, each after those that it needs.
///
/// # Errors
/// When the budget is exhausted.
pub(super) fn hash_inputs(
    part: &mut PlannedArchitecture,
    build_settings: &BuildSettings,
    budget: &PlanBudget,
) -> Result<(), TimedOut> {
    for (at, build) in part.plan.builds.iter().enumerate() {
        budget.check()?;
        let draft = &part.drafts[at];
        let needs = draft.needs.iter();
        let needed = needs.map(|(place, _)| part.drafts[*place].input_hash.as_ref());
        let inputs = Inputs {
            head: &draft.head,
            architecture: &part.architecture,
            stage: draft.stage,
            without: draft::without(build),
            build_settings,
            base: &part.base,
        };
        part.drafts[at].input_hash = input_hash(&inputs, needed);
    }
    Ok(())
}
