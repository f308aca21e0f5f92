//! The inputs of a preview, owned because planning runs on another thread.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use buildbtw_model::api::ProblemKind;
use buildbtw_model::{Architecture, Pkgbase, Pkgname};
use buildbtw_planner::{
    Budget, Estimate, Footprint, Plan, PlanRequest, Problem, SourcePackage,
    plan_with_footprint_within,
};

use crate::error::{Error, Refusal};
use crate::planning::known_sonames::Lookup;
use crate::planning::queue::{PlanBudget, PlanError};
use crate::repos::base::BaseSnapshot;
use crate::service::base_versions::Producers;
use crate::service::plan_iteration::{PlanInput, Preview};
use crate::service::source_problems::FetchRules;
use crate::sources::CatalogSnapshot;

/// The inputs.
pub(super) struct PreviewInputs {
    pub(super) architecture: Architecture,
    /// The request as for a new namespace.
    pub(super) input: PlanInput,
    /// The number of builds above which the plan is refused.
    pub(super) most_builds: usize,
    pub(super) snapshot: CatalogSnapshot,
    pub(super) base: Arc<BaseSnapshot>,
    pub(super) estimates: HashMap<Pkgbase, Estimate>,
    pub(super) sonames: Lookup,
    pub(super) fetched: FetchRules,
}

impl PreviewInputs {
    /// Plans, and keeps what the plan was made from.
    pub(super) fn plan(self, budget: &PlanBudget) -> Result<Preview, PlanError> {
        let budget = BuildLimit {
            builds: self.most_builds,
            budget,
        };
        let origins = self.input.origins.iter();
        let origins: Vec<_> = origins.map(|origin| Arc::clone(&origin.package)).collect();
        let (mut plan, footprint) = self.plan_builds(&origins, &budget)?;
        budget.check_members(plan.builds.len())?;
        self.add_versions(&origins, &budget, &mut plan)?;
        Ok(Preview {
            plan,
            footprint,
            input: self.input,
            snapshot: self.snapshot,
            base: self.base,
        })
    }

    fn add_versions(
        &self,
        origins: &[Arc<SourcePackage>],
        budget: &BuildLimit<'_>,
        plan: &mut Plan,
    ) -> Result<(), PlanError> {
        let index = self.snapshot.catalog().index();
        let producers = Producers::new(index, origins.iter().map(|origin| &**origin));
        let in_base = |pkgbase: &Pkgbase, name: &Pkgname| {
            let package = producers.get(pkgbase);
            package.map_or_else(Vec::new, |package| {
                producers.base_versions(package, name, &self.base.versions)
            })
        };
        plan.expect_versions_within(index, origins, &in_base, self.input.bump, budget)?;
        self.add_problems(&producers, plan);
        Ok(())
    }

    fn plan_builds(
        &self,
        origins: &[Arc<SourcePackage>],
        budget: &BuildLimit<'_>,
    ) -> Result<(Plan, Footprint), PlanError> {
        let input = &self.input;
        let estimates = |pkgbase: &Pkgbase| self.estimates.get(pkgbase).copied();
        let sonames = self.sonames.get(&self.base, budget.budget)?;
        let mut request =
            PlanRequest::new(self.architecture.clone(), origins.to_vec(), input.scope);
        request.include = input.include.clone();
        request.exclude = input.exclude.clone();
        request.estimates = &estimates;
        request.bootstrap.clone_from(&input.bootstrap);
        request.keeps_sonames = input.same_sonames;
        request.sonames = Some(&sonames);
        request.base = self.base.is_complete.then_some(&*self.base.packages);
        plan_with_footprint_within(self.snapshot.catalog().index(), &request, budget)
    }

    /// Adds problems of sources and base repositories that may fail builds of the plan.
    fn add_problems(&self, producers: &Producers<'_>, plan: &mut Plan) {
        let packages = plan.builds.iter();
        let packages = packages.filter_map(|build| producers.get(&build.pkgbase));
        let mut problems: Vec<Problem> = self
            .fetched
            .problems(packages.clone(), &plan.architecture)
            .into_iter()
            .collect();
        let members: HashSet<&Pkgbase> = plan.builds.iter().map(|build| &build.pkgbase).collect();
        for (package, version) in packages.zip(plan.versions()) {
            problems.extend(Producers::produced_elsewhere(
                package,
                &version.version,
                &plan.architecture,
                &self.base.versions,
                |pkgbase| members.contains(pkgbase),
            ));
        }
        plan.problems.extend(problems);
        plan.problems.sort();
        plan.problems.dedup();
    }
}

/// A budget that also limits the number of builds.
struct BuildLimit<'a> {
    builds: usize,
    budget: &'a PlanBudget,
}

impl Budget for BuildLimit<'_> {
    type Over = PlanError;

    fn check(&self) -> Result<(), PlanError> {
        Ok(self.budget.check()?)
    }

    fn check_members(&self, count: usize) -> Result<(), PlanError> {
        if count <= self.builds {
            return Ok(());
        }
        Err(PlanError::Other(too_many_builds(count, self.builds)))
    }
}

/// Creates the refusal of a large plan without a token.
pub(in crate::service) fn too_many_builds(count: usize, limit: usize) -> Error {
    let title = format!(
        "the plan has at least {count} builds; without a token at most {limit} are planned"
    );
    Refusal::new(ProblemKind::PlanTooLarge, title)
        .hint("plan it with a token (`buildbtw login`), or choose a narrower --scope")
        .into()
}
