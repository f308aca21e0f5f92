//! From the planner's answer to builds that know their commit and their input hash.

use std::collections::HashMap;
use std::sync::Arc;

use buildbtw_model::{
    Architecture, AttemptId, BuildId, NetworkPolicy, PackageVersion, Pkgbase, ReleaseRule,
    Sha256Digest,
};
use buildbtw_planner::{
    BuildSnapshot, Footprint, Plan, PlanRequest, PlannedVersion, Sonames, SourcePackage,
    TookTooLong, computes_version, plan_with_footprint_within,
};
use sha2::Digest as _;

use crate::error::Error;
use crate::repos::base::BaseSnapshot;
use crate::sources::{Catalog, Head};

use super::{FilesBefore, PlanBudget, PlanInput};

/// Raise it when the same inputs no longer give the same packages.
const HASH_VERSION: &str = "buildbtw input 3";

/// A build on its way into the database.
pub(super) struct Draft {
    pub(super) package: Arc<SourcePackage>,
    pub(super) head: Head,
    pub(super) is_origin: bool,
    pub(super) stage: u32,
    pub(super) level: u32,
    pub(super) estimate_s: u64,
    pub(super) priority_s: u64,
    /// The chain from an origin.
    pub(super) reason: Vec<Pkgbase>,
    /// The library by which it is linked to the last but one of these.
    pub(super) library: Option<String>,
    /// The dependencies that a bootstrap build does without.
    pub(super) without: Option<Vec<Arc<str>>>,
    /// The places of the builds it needs, with the kind of each edge.
    pub(super) needs: Vec<(usize, &'static str)>,
    /// See [`input_hash`].
    pub(super) input_hash: Option<Sha256Digest>,
    /// Finished packages with the same inputs, the best first.
    pub(super) reusable: Vec<Reusable>,
    /// The attempt whose packages it takes.
    pub(super) reused: Option<AttemptId>,
    /// The build of the iteration before that somebody is working on with the same inputs, and the
    /// version that will have.
    pub(super) awaited: Option<(BuildId, PackageVersion)>,
    /// The version its packages get, and how it is chosen.
    pub(super) version: PlannedVersion,
}

/// Packages that were made from the inputs of a build.
#[derive(Clone, Debug)]
pub(super) struct Reusable {
    /// The attempt that made them.
    pub(super) attempt: AttemptId,
    /// Their version.
    pub(super) version: PackageVersion,
    /// Whether this namespace has them already.
    pub(super) is_own: bool,
}

/// Plans one architecture against a state of the catalog.
pub(super) struct Drafter<'a> {
    pub(super) catalog: &'a Catalog,
    pub(super) input: &'a PlanInput,
    pub(super) durations: &'a HashMap<Pkgbase, u64>,
    pub(super) base: &'a BaseSnapshot,
    pub(super) sonames: &'a Sonames,
}

impl Drafter<'_> {
    pub(super) fn plan(
        &self,
        architecture: &Architecture,
        budget: &PlanBudget,
    ) -> Result<(Plan, Footprint), TookTooLong> {
        let origins = self
            .input
            .origins
            .iter()
            .map(|origin| origin.package.clone())
            .collect();
        let estimates = |pkgbase: &Pkgbase| self.durations.get(pkgbase).copied();
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
        for build in &plan.builds {
            let (package, head, is_origin) = self.find(&build.pkgbase)?;
            let needs: Vec<_> = build
                .needs
                .iter()
                .map(|need| (need.build, need.kind.map_or("stage", |kind| kind.as_str())))
                .collect();
            let needed = needs
                .iter()
                .map(|(place, _)| drafts[*place].input_hash.as_ref());
            let input_hash = input_hash(
                &Inputs {
                    head: &head,
                    architecture: &plan.architecture,
                    stage: build.stage,
                    without: build
                        .bootstrap
                        .as_ref()
                        .map(|bootstrap| &*bootstrap.without),
                    network: self.input.network,
                    base: self.base,
                },
                needed,
            );
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
                level: build.level,
                estimate_s: build.estimate_s,
                priority_s: build.priority_s,
                reason: plan.reason(build).into_iter().cloned().collect(),
                library: plan.links(build).map(str::to_owned),
                without: build.bootstrap.clone().map(|bootstrap| bootstrap.without),
                needs,
                input_hash,
                reusable: Vec::new(),
                reused: None,
                awaited: None,
            });
        }
        Ok(drafts)
    }

    /// The package of a build and where it is built from: an origin's changeset, or the default
    /// branch.
    fn find(&self, pkgbase: &Pkgbase) -> Result<(Arc<SourcePackage>, Head, bool), Error> {
        let mut origins = self.input.origins.iter();
        if let Some(origin) = origins.find(|origin| origin.package.pkgbase() == pkgbase) {
            return Ok((Arc::clone(&origin.package), origin.head.clone(), true));
        }
        match (
            self.catalog.index().get(pkgbase),
            self.catalog.head(pkgbase),
        ) {
            (Some(package), Some(head)) => Ok((Arc::clone(package), head.clone(), false)),
            _ => Err(anyhow::anyhow!("{pkgbase} is planned but not in the index").into()),
        }
    }
}

/// The inputs of a build besides the packages of other builds.
struct Inputs<'a> {
    head: &'a Head,
    architecture: &'a Architecture,
    stage: u32,
    /// The dependencies that a bootstrap build does without.
    without: Option<&'a [Arc<str>]>,
    network: NetworkPolicy,
    base: &'a BaseSnapshot,
}

/// What a build's packages follow from: its files, architecture, network policy, the base snapshot and the hashes of
/// what it needs. The bumped release is no part of it. `None` when any of it is not known.
fn input_hash<'a>(
    inputs: &Inputs<'_>,
    needs: impl Iterator<Item = Option<&'a Sha256Digest>>,
) -> Option<Sha256Digest> {
    let Inputs {
        head,
        architecture,
        stage,
        without,
        network,
        base,
    } = inputs;
    let mut hasher = sha2::Sha256::new();
    let mut field = |text: &str| {
        // Each with its length, so that no two inputs run together to the same bytes.
        hasher.update((text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    };
    field(HASH_VERSION);
    field(head.files());
    field(architecture.as_str());
    field(&stage.to_string());
    if let Some(without) = without {
        field("bootstrap");
        without.iter().for_each(|relation| field(relation));
    }
    field(network.as_str());
    for (repository, digest) in &base.databases {
        field(repository.as_str());
        field(digest.as_deref().ok()?);
    }
    let mut needs: Vec<_> = needs.collect::<Option<_>>()?;
    needs.sort_unstable();
    for hash in needs {
        field(hash.as_str());
    }
    Some(Sha256Digest::from_bytes(&hasher.finalize().into()))
}

/// The builds for a comparison with another iteration. Another commit with the same files is none.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs<'a>(
        head: &'a Head,
        architecture: &'a Architecture,
        base: &'a BaseSnapshot,
    ) -> Inputs<'a> {
        Inputs {
            head,
            architecture,
            stage: 1,
            without: None,
            network: NetworkPolicy::Sources,
            base,
        }
    }

    fn head_of(commit: char) -> Head {
        Head {
            commit: commit.to_string().repeat(40).parse().unwrap(),
            tree: None,
            commit_time: 0,
            clone_url: String::new(),
            srcinfo_sha256: "0".repeat(64).parse().unwrap(),
        }
    }

    #[test]
    fn the_network_policy_is_an_input() {
        let (head, architecture) = (head_of('a'), "x86_64".parse().unwrap());
        let base = BaseSnapshot::default();
        let hash = |network| {
            let inputs = Inputs {
                network,
                ..inputs(&head, &architecture, &base)
            };
            input_hash(&inputs, std::iter::empty()).unwrap()
        };
        assert_ne!(hash(NetworkPolicy::Sources), hash(NetworkPolicy::Prepare));
        assert_ne!(hash(NetworkPolicy::Sources), hash(NetworkPolicy::None));
    }

    fn hash(commit: char, base: &BaseSnapshot, needs: &[&Sha256Digest]) -> Option<Sha256Digest> {
        let head = head_of(commit);
        let architecture = "x86_64".parse().unwrap();
        input_hash(
            &inputs(&head, &architecture, base),
            needs.iter().map(|hash| Some(*hash)),
        )
    }

    #[test]
    fn commits_with_the_same_tree_have_the_same_inputs() {
        let head = |commit: &str, tree: Option<&str>| Head {
            commit: commit.repeat(40).parse().unwrap(),
            tree: tree.map(|tree| tree.repeat(40).parse().unwrap()),
            commit_time: 0,
            clone_url: String::new(),
            srcinfo_sha256: "0".repeat(64).parse().unwrap(),
        };
        let hash = |head: &Head| {
            let architecture = "x86_64".parse().unwrap();
            let none = std::iter::empty();
            let base = BaseSnapshot::default();
            input_hash(&inputs(head, &architecture, &base), none).unwrap()
        };
        let first = hash(&head("a", Some("1")));
        assert_eq!(hash(&head("b", Some("1"))), first);
        assert_ne!(hash(&head("b", Some("2"))), first);
        assert_ne!(hash(&head("a", None)), hash(&head("b", None)));
    }

    #[test]
    fn every_input_counts_and_the_order_of_needs_does_not() {
        let base = BaseSnapshot {
            databases: vec![("core".parse().unwrap(), Ok("digest".into()))],
            ..BaseSnapshot::default()
        };
        let (a, b) = (
            hash('a', &base, &[]).unwrap(),
            hash('b', &base, &[]).unwrap(),
        );
        assert_ne!(a, b);
        assert_ne!(hash('a', &base, &[&a]), Some(a.clone()));
        assert_eq!(hash('c', &base, &[&a, &b]), hash('c', &base, &[&b, &a]));
        assert_ne!(hash('a', &BaseSnapshot::default(), &[]), Some(a));
    }

    #[test]
    fn a_bootstrap_build_has_inputs_of_its_own() {
        let (head, architecture) = (head_of('a'), "x86_64".parse().unwrap());
        let base = BaseSnapshot::default();
        let hash = |without: Option<&[Arc<str>]>| {
            let inputs = Inputs {
                without,
                ..inputs(&head, &architecture, &base)
            };
            input_hash(&inputs, std::iter::empty()).unwrap()
        };
        let plain = hash(None);
        assert_ne!(hash(Some(&[])), plain);
        assert_ne!(hash(Some(&["tool".into()])), hash(Some(&[])));
    }

    #[test]
    fn what_is_not_known_is_never_reused() {
        let base = BaseSnapshot {
            databases: vec![("core".parse().unwrap(), Err("unreachable".into()))],
            ..BaseSnapshot::default()
        };
        assert_eq!(hash('a', &base, &[]), None);
    }
}
