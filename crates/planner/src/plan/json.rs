//! The JSON format of a plan. Other tools read it, so names, order and form of its fields are stable.

use std::sync::Arc;

use buildbtw_model::api::{PlanFailure, PlanReuse};
use buildbtw_model::{Architecture, PackageVersion, Pkgbase, Scope};
use serde::ser::{Serialize, SerializeSeq as _, Serializer};

use super::outcome::{Cycle, NeedsBootstrap, Plan, PlannedBuild, Unresolved};
use super::planned_version::PlannedVersion;
use super::problem::Problem;

#[derive(serde::Serialize)]
struct PlanJson<'a> {
    architecture: &'a Architecture,
    scope: Scope,
    builds: Builds<'a>,
    cycles: &'a [Cycle],
    unresolved: &'a [Unresolved],
    problems: &'a [Problem],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    needs_bootstrap: &'a [NeedsBootstrap],
}

/// The builds of a plan, serialised one by one, so that a plan of a whole distribution is not copied.
struct Builds<'a>(&'a Plan);

#[derive(serde::Serialize)]
struct BuildJson<'a> {
    pkgbase: &'a Pkgbase,
    stage: u32,
    level: u32,
    /// The newest version in the base repositories.
    #[serde(skip_serializing_if = "Option::is_none")]
    old_version: Option<&'a PackageVersion>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a PackageVersion>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version_note: Option<String>,
    needs: Vec<String>,
    /// The kind of each of the needs.
    needs_kinds: Vec<&'static str>,
    reason: Vec<&'a Pkgbase>,
    /// The kind of each step of the reason.
    reason_kinds: Vec<&'static str>,
    /// `links libfoo.so.1` if the package declares no such dependency.
    #[serde(skip_serializing_if = "Option::is_none")]
    via: Option<String>,
    /// Whether it is a bootstrap build, which omits `without`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    bootstrap: bool,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    without: &'a [Arc<str>],
    estimate_s: u64,
    /// Whether the package was built before; otherwise `estimate_s` is the median of the other packages.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    estimate_is_known: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reuse: Option<&'a PlanReuse>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_failure: Option<&'a PlanFailure>,
}

impl Serialize for Plan {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        PlanJson {
            architecture: &self.architecture,
            scope: self.scope,
            builds: Builds(self),
            cycles: &self.cycles,
            unresolved: &self.unresolved,
            problems: &self.problems,
            needs_bootstrap: &self.needs_bootstrap,
        }
        .serialize(serializer)
    }
}

impl Serialize for Builds<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.0.builds.len()))?;
        for (at, build) in self.0.builds.iter().enumerate() {
            let version = self.0.versions.get(at);
            let facts = self.0.facts.get(at);
            list.serialize_element(&BuildJson {
                pkgbase: &build.pkgbase,
                stage: build.stage,
                level: build.level,
                old_version: version.and_then(PlannedVersion::old),
                version: version.map(|version| &version.version),
                version_note: version.and_then(PlannedVersion::note),
                needs: self.0.need_labels(build),
                needs_kinds: self.0.need_kinds(build),
                reason: self.0.reason(build),
                reason_kinds: self.0.reason_kinds(build),
                via: self
                    .0
                    .links(build)
                    .map(|library| format!("links {library}")),
                bootstrap: build.bootstrap.is_some(),
                without: without(build),
                estimate_s: build.estimate_s,
                estimate_is_known: build.estimate.is_some(),
                reuse: facts.and_then(|facts| facts.reuse.as_ref()),
                last_failure: facts.and_then(|facts| facts.last_failure.as_ref()),
            })?;
        }
        list.end()
    }
}

fn without(build: &PlannedBuild) -> &[Arc<str>] {
    let bootstrap = build.bootstrap.as_ref();
    bootstrap
        .map(|bootstrap| &*bootstrap.without)
        .unwrap_or_default()
}

impl PlannedBuild {
    /// Returns the label of the build: `pkgbase@stage`.
    #[must_use]
    pub fn label(&self) -> String {
        format!("{}@{}", self.pkgbase, self.stage)
    }
}

impl Plan {
    /// Returns the labels of a build's needs: `pkgbase@stage`.
    #[must_use]
    pub fn need_labels(&self, build: &PlannedBuild) -> Vec<String> {
        let needs = build.needs.iter();
        needs
            .filter_map(|need| self.builds.get(need.build))
            .map(PlannedBuild::label)
            .collect()
    }
}
