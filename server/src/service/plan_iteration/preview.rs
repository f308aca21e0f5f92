//! What a plan that is not stored would reuse.

use std::collections::HashMap;
use std::sync::Arc;

use buildbtw_model::api::PlanReuse;
use buildbtw_planner::{Footprint, Plan, Sonames};

use crate::error::Error;
use crate::planning::queue::{Caller, PlanBudget};
use crate::repos::base::BaseSnapshot;
use crate::sources::CatalogSnapshot;
use crate::state::parts::PlanningParts;

use super::draft::{Draft, Drafter};
use super::inputs::BuildSettings;
use super::plan_input::PlanInput;
use super::planned::{PlannedArchitecture, hash_inputs};
use super::{reuse, versions};

/// A plan of one architecture that is not stored, with what it was planned from.
pub struct Preview {
    /// The plan.
    pub plan: Plan,
    /// Its footprint.
    pub footprint: Footprint,
    /// The request as for a new namespace.
    pub input: PlanInput,
    /// The sources.
    pub snapshot: CatalogSnapshot,
    /// The base repositories.
    pub base: Arc<BaseSnapshot>,
}

impl Preview {
    /// Returns the plan and, for each of its builds, the packages that a new namespace would reuse.
    ///
    /// # Errors
    /// When it takes too long, or the database cannot be read.
    pub async fn find_reused(
        self,
        parts: PlanningParts<'_>,
        caller: Caller,
    ) -> Result<(Plan, Vec<Option<PlanReuse>>), Error> {
        let (input, snapshot) = (self.input.clone(), self.snapshot.clone());
        let build_settings = BuildSettings::of(parts.config, input.network);
        let hash = move |budget: &PlanBudget| {
            let mut part = self.drafted()?;
            hash_inputs(&mut part, &build_settings, budget)?;
            Ok(part)
        };
        let mut part = parts.planning.plan(caller, hash).await?;
        reuse::find(parts.database, parts.repos, &input, &mut part.drafts).await?;
        let assign = move |budget: &PlanBudget| {
            let (mut planned, index) = ([part], snapshot.catalog().index());
            versions::assign_versions(&mut planned, &input, index, budget)?;
            let [part] = planned;
            let reused = part.drafts.iter().map(reused).collect();
            Ok((part.plan, reused))
        };
        parts.planning.plan(caller, assign).await
    }

    /// Returns the plan with drafts of its builds.
    fn drafted(self) -> Result<PlannedArchitecture, Error> {
        let Self {
            plan,
            footprint,
            input,
            snapshot,
            base,
        } = self;
        // Durations and sonames decide the plan, which is made already.
        let (estimates, sonames) = (HashMap::new(), Sonames::default());
        let drafter = Drafter {
            catalog: snapshot.catalog(),
            input: &input,
            estimates: &estimates,
            base: &base,
            sonames: &sonames,
        };
        let drafts = drafter.drafts(&plan)?;
        Ok(PlannedArchitecture {
            architecture: plan.architecture.clone(),
            base: BaseSnapshot::clone(&base),
            drafts,
            footprint,
            plan,
            moved: Vec::new(),
        })
    }
}

/// Returns the packages that a draft reuses.
fn reused(draft: &Draft) -> Option<PlanReuse> {
    let attempt = draft.reused?;
    let mut known = draft.reusable.iter();
    let found = known.find(|found| found.attempt == attempt)?;
    Some(PlanReuse {
        attempt,
        namespace: found.namespace.clone(),
        version: found.version.clone(),
    })
}
