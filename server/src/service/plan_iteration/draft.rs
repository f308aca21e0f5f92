//! Drafts: the planned builds with their commits and, if they are to be stored, their input hashes.

use std::collections::HashMap;
use std::sync::Arc;

use buildbtw_model::{
    Architecture, AttemptId, BuildId, NamespaceName, PackageVersion, Pkgbase, ReleaseRule,
    Sha256Digest,
};
use buildbtw_planner::{
    BuildSnapshot, Estimate, Footprint, Plan, PlanRequest, PlannedBuild, PlannedVersion, Sonames,
    SourcePackage, TimedOut, computes_version, plan_with_footprint_within,
};

use crate::db::plans::EdgeKind;
use crate::error::Error;
use crate::repos::base::BaseSnapshot;
use crate::sources::{Catalog, Head, ResolvedChangeset};

use super::plan_input::{FilesBefore, PlanInput};
use crate::planning::queue::PlanBudget;

/// A planned build that is not stored yet. What only the stored build needs of its plan stays in the plan.
pub(super) struct Draft {
    pub(super) package: Arc<SourcePackage>,
    pub(super) head: Head,
    pub(super) is_origin: bool,
    pub(super) stage: u32,
    /// The positions of the builds it needs, with the kind of each edge.
    pub(super) needs: Vec<(usize, EdgeKind)>,
    /// See [`super::planned::hash_inputs`].
    pub(super) input_hash: Option<Sha256Digest>,
    /// Finished packages with the same input hash, the best first.
    pub(super) reusable: Vec<Reusable>,
    /// The attempt whose packages it reuses.
    pub(super) reused: Option<AttemptId>,
    /// The running build of an earlier iteration with the same input hash, and the version it will have.
    pub(super) awaited: Option<(BuildId, PackageVersion)>,
    /// The version its packages will have, and how it is chosen.
    pub(super) version: PlannedVersion,
}

/// Finished packages with the input hash of a build.
#[derive(Clone, Debug)]
pub(super) struct Reusable {
    /// The attempt that built them.
    pub(super) attempt: AttemptId,
    /// The namespace that has them.
    pub(super) namespace: NamespaceName,
    /// Their version.
    pub(super) version: PackageVersion,
    /// Whether this namespace already has them.
    pub(super) is_own: bool,
}

/// Plans one architecture against a snapshot of the catalog.
pub(super) struct Drafter<'a> {
    pub(super) catalog: &'a Catalog,
    pub(super) input: &'a PlanInput,
    pub(super) estimates: &'a HashMap<Pkgbase, Estimate>,
    pub(super) base: &'a BaseSnapshot,
    pub(super) sonames: &'a Sonames,
}

impl Drafter<'_> {
    pub(super) fn plan(
        &self,
        architecture: &Architecture,
        budget: &PlanBudget,
    ) -> Result<(Plan, Footprint), TimedOut> {
        let origins = self
            .input
            .origins
            .iter()
            .map(|origin| origin.package.clone())
            .collect();
        let estimates = |pkgbase: &Pkgbase| self.estimates.get(pkgbase).copied();
        let mut request = PlanRequest::new(architecture.clone(), origins, self.input.scope);
        request.include = self.input.include.clone();
        request.exclude = self.input.exclude.clone();
        request.estimates = &estimates;
        request.bootstrap.clone_from(&self.input.bootstrap);
        request.keeps_sonames = self.input.same_sonames;
        request.sonames = Some(self.sonames);
        request.base = self.base.is_complete.then_some(&*self.base.packages);
        plan_with_footprint_within(self.catalog.index(), &request, budget)
    }

    pub(super) fn drafts(&self, plan: &Plan) -> Result<Vec<Draft>, Error> {
        let mut drafts: Vec<Draft> = Vec::with_capacity(plan.builds.len());
        let origins: HashMap<&Pkgbase, &ResolvedChangeset> = self
            .input
            .origins
            .iter()
            .map(|origin| (origin.package.pkgbase(), origin))
            .collect();
        for build in &plan.builds {
            let origin = origins.get(&build.pkgbase).copied();
            let (package, head) = self.find(&build.pkgbase, origin)?;
            let is_origin = origin.is_some();
            let needs = build.needs.iter().map(|need| {
                let kind = need.kind.map_or(EdgeKind::Stage, EdgeKind::Dependency);
                (need.build, kind)
            });
            drafts.push(Draft {
                version: PlannedVersion {
                    version: package.version().clone(),
                    is_computed: computes_version(&package, &plan.architecture),
                    rule: ReleaseRule::default(),
                },
                package,
                head,
                is_origin,
                stage: build.stage,
                needs: needs.collect(),
                input_hash: None,
                reusable: Vec::new(),
                reused: None,
                awaited: None,
            });
        }
        Ok(drafts)
    }

    /// Returns the package of a build and the commit it is built from: that of an origin's changeset, or the head.
    fn find(
        &self,
        pkgbase: &Pkgbase,
        origin: Option<&ResolvedChangeset>,
    ) -> Result<(Arc<SourcePackage>, Head), Error> {
        if let Some(origin) = origin {
            return Ok((Arc::clone(&origin.package), origin.head.clone()));
        }
        match (
            self.catalog.index().get(pkgbase),
            self.catalog.head(pkgbase),
        ) {
            (Some(package), Some(head)) => Ok((Arc::clone(package), head.clone())),
            _ => Err(anyhow::anyhow!("{pkgbase} is planned but not in the index").into()),
        }
    }
}

/// Returns the dependencies that a bootstrap build is built without.
pub(super) fn without(build: &PlannedBuild) -> Option<&[Arc<str>]> {
    let bootstrap = build.bootstrap.as_ref();
    bootstrap.map(|bootstrap| &*bootstrap.without)
}

/// Returns the builds for a comparison with another iteration. Another commit with the same files has the same
/// revision.
pub(super) fn snapshot(drafts: &[Draft], before: &FilesBefore) -> Vec<BuildSnapshot> {
    let revision = |draft: &Draft| match before.get(draft.package.pkgbase()) {
        Some((commit, tree)) if draft.head.has_files_of(commit, tree.as_ref()) => {
            commit.to_string()
        }
        _ => draft.head.commit.to_string(),
    };
    drafts
        .iter()
        .map(|draft| BuildSnapshot {
            pkgbase: draft.package.pkgbase().clone(),
            stage: draft.stage,
            revision: revision(draft),
            needs: draft
                .needs
                .iter()
                .map(|(place, _)| {
                    (
                        drafts[*place].package.pkgbase().clone(),
                        drafts[*place].stage,
                    )
                })
                .collect(),
        })
        .collect()
}
