//! Plans an iteration: asks the planner for each architecture, fixes commits and versions, and
//! stores the result as rows.

use std::collections::HashMap;
use std::fmt::Write as _;

use buildbtw_model::api::{ExpectedPackage, PlanNote, ProblemKind};
use buildbtw_model::{Architecture, BuildId, PackageVersion, Pkgbase, Pkgname, Scope};
use buildbtw_planner::{Plan, PlanRequest, PlannedBuild, SourcePackage, bumped_version};

use crate::app_state::AppState;
use crate::db::plans::{self, NewBuild};
use crate::db::{IterationId, WriteTransaction, attempts, iterations};
use crate::error::{Error, Refusal};
use crate::repos::base::BaseSnapshot;
use crate::sources::{Catalog, Head, ResolvedChangeset};

/// What an iteration is planned from.
pub struct PlanInput<'a> {
    /// The origins at the commits they have now.
    pub origins: &'a [ResolvedChangeset],
    /// How far the rebuild spreads.
    pub scope: Scope,
    /// Plans with more builds are refused.
    pub max_builds: u32,
    /// Whether rebuilt packages get a higher release.
    pub bump: bool,
    /// Versions that earlier iterations of the namespace produced.
    pub produced: Vec<(Pkgname, PackageVersion)>,
}

/// An iteration that can be stored.
pub struct PlannedIteration {
    architectures: Vec<PlannedArchitecture>,
    notes: Vec<(Architecture, PlanNote)>,
}

struct PlannedArchitecture {
    architecture: Architecture,
    base: BaseSnapshot,
    builds: Vec<NewBuild>,
    /// Per build the places of the builds it needs, with the kind of each edge.
    needs: Vec<Vec<(usize, &'static str)>>,
    /// Per build whether all its packages are of architecture `any`.
    is_any: Vec<bool>,
}

/// Plans an iteration for all architectures.
///
/// # Errors
/// When the plan is larger than allowed, or no origin can be built for any architecture.
pub async fn plan(state: &AppState, input: PlanInput<'_>) -> Result<PlannedIteration, Error> {
    let mut planned = PlannedIteration {
        architectures: Vec::new(),
        notes: Vec::new(),
    };
    for architecture in &state.config.architectures {
        let base = state.base.snapshot(architecture).await;
        let durations = attempts::durations(state.database.read(), architecture).await?;
        let (state, architecture) = (state.clone(), architecture.clone());
        let origins = input.origins.to_vec();
        let produced = input.produced.clone();
        let (scope, bump) = (input.scope, input.bump);
        let (part, notes) = tokio::task::spawn_blocking(move || {
            state.sources.with_catalog(|catalog| {
                let job = Job {
                    catalog,
                    origins: &origins,
                    produced: &produced,
                    bump,
                };
                job.plan(&architecture, scope, base, &durations)
            })
        })
        .await??;
        planned.architectures.push(part);
        planned.notes.extend(notes);
    }
    let total: usize = planned
        .architectures
        .iter()
        .map(|part| part.builds.len())
        .sum();
    if total == 0 {
        let names: Vec<_> = state
            .config
            .architectures
            .iter()
            .map(Architecture::as_str)
            .collect();
        return Err(Refusal::new(
            ProblemKind::InvalidRequest,
            format!(
                "none of the changesets can be built for {}",
                names.join(" or ")
            ),
        )
        .hint("their `arch` arrays name other architectures")
        .into());
    }
    if total > usize::try_from(input.max_builds).unwrap_or(usize::MAX) {
        return Err(too_large(&planned, total, input.max_builds));
    }
    Ok(planned)
}

fn too_large(planned: &PlannedIteration, total: usize, limit: u32) -> Error {
    let counts: Vec<_> = planned
        .architectures
        .iter()
        .map(|part| format!("{} for {}", part.builds.len(), part.architecture))
        .collect();
    Refusal::new(
        ProblemKind::PlanTooLarge,
        format!("this would be {total} builds, more than the allowed {limit}"),
    )
    .detail(counts.join(", "))
    .hint("allow it with --max-builds, or choose a narrower --scope")
    .into()
}

/// The planning of one architecture, on a blocking thread.
struct Job<'a> {
    catalog: &'a Catalog,
    origins: &'a [ResolvedChangeset],
    produced: &'a [(Pkgname, PackageVersion)],
    bump: bool,
}

impl Job<'_> {
    fn plan(
        &self,
        architecture: &Architecture,
        scope: Scope,
        base: BaseSnapshot,
        durations: &HashMap<Pkgbase, u64>,
    ) -> Result<(PlannedArchitecture, Vec<(Architecture, PlanNote)>), Error> {
        let origins = self
            .origins
            .iter()
            .map(|origin| origin.package.clone())
            .collect();
        let estimates = |pkgbase: &Pkgbase| durations.get(pkgbase).copied();
        let mut request = PlanRequest::new(architecture.clone(), origins, scope);
        request.estimates = &estimates;
        let plan = buildbtw_planner::plan(self.catalog.index(), &request);
        let notes = notes(&plan, &base);
        let notes = notes
            .into_iter()
            .map(|note| (architecture.clone(), note))
            .collect();
        let mut part = PlannedArchitecture {
            architecture: architecture.clone(),
            base,
            builds: Vec::with_capacity(plan.builds.len()),
            needs: Vec::with_capacity(plan.builds.len()),
            is_any: Vec::with_capacity(plan.builds.len()),
        };
        let mut versions: HashMap<Pkgbase, PackageVersion> = HashMap::new();
        for (position, build) in (0_u32..).zip(&plan.builds) {
            let (package, head, is_origin) = self.find(&build.pkgbase)?;
            let keeps_own = (is_origin || !self.bump) && build.stage == 1;
            let version = if keeps_own {
                package.version().clone()
            } else {
                let earlier = versions.get(&build.pkgbase);
                self.bumped(package, architecture, &part.base, earlier)
            };
            versions.insert(build.pkgbase.clone(), version.clone());
            part.builds
                .push(new_build(&plan, build, position, package, head, version));
            part.needs.push(
                build
                    .needs
                    .iter()
                    .map(|need| (need.build, need.kind.map_or("stage", |kind| kind.as_str())))
                    .collect(),
            );
            part.is_any.push(package.is_any());
        }
        Ok((part, notes))
    }

    /// The package of a build and where it is built from: an origin's changeset, or the default
    /// branch.
    fn find(&self, pkgbase: &Pkgbase) -> Result<(&SourcePackage, &Head, bool), Error> {
        let origin = self
            .origins
            .iter()
            .find(|origin| origin.package.pkgbase() == pkgbase);
        if let Some(origin) = origin {
            return Ok((&origin.package, &origin.head, true));
        }
        match (
            self.catalog.index().get(pkgbase),
            self.catalog.head(pkgbase),
        ) {
            (Some(package), Some(head)) => Ok((package, head, false)),
            _ => Err(anyhow::anyhow!("{pkgbase} is planned but not in the index").into()),
        }
    }

    /// A version that installs over all there is: the base repositories', those of earlier
    /// iterations, and an earlier stage's.
    fn bumped(
        &self,
        package: &SourcePackage,
        architecture: &Architecture,
        base: &BaseSnapshot,
        earlier: Option<&PackageVersion>,
    ) -> PackageVersion {
        let mut known: Vec<&PackageVersion> = earlier.into_iter().collect();
        for (name, _) in package.pkgnames_for(architecture) {
            known.extend(base.versions.get(name).into_iter().flatten());
            let produced = self.produced.iter().filter(|(pkgname, _)| pkgname == name);
            known.extend(produced.map(|(_, version)| version));
        }
        bumped_version(package.version(), known)
    }
}

fn new_build(
    plan: &Plan,
    build: &PlannedBuild,
    position: u32,
    package: &SourcePackage,
    head: &Head,
    version: PackageVersion,
) -> NewBuild {
    let small = |seconds: u64| u32::try_from(seconds).unwrap_or(u32::MAX);
    let mut reason = String::new();
    for pkgbase in plan.reason(build) {
        let space = if reason.is_empty() { "" } else { " " };
        // Writing to a string cannot fail.
        let _ = write!(reason, "{space}{pkgbase}");
    }
    NewBuild {
        architecture: plan.architecture.clone(),
        pkgbase: build.pkgbase.clone(),
        stage: build.stage,
        level: build.level,
        position,
        commit: head.commit.clone(),
        commit_time: head.commit_time,
        clone_url: head.clone_url.clone(),
        srcinfo_sha256: head.srcinfo_sha256.clone(),
        pkgrel: (version != *package.version()).then(|| version.pkgrel().to_owned()),
        version,
        reason,
        estimate_s: small(build.estimate_s),
        priority_s: small(build.priority_s),
        missing: u32::try_from(build.needs.len()).unwrap_or(u32::MAX),
        shared_build: None,
        outputs: package
            .pkgnames_for(&plan.architecture)
            .map(|(name, architecture)| ExpectedPackage {
                name: name.clone(),
                architecture,
            })
            .collect(),
    }
}

/// What the planner found, for people.
fn notes(plan: &Plan, base: &BaseSnapshot) -> Vec<PlanNote> {
    let note = |kind: &str, text: String| PlanNote {
        kind: kind.to_owned(),
        text,
    };
    let mut notes = Vec::new();
    for (repository, digest) in &base.databases {
        if let Err(problem) = digest {
            notes.push(note(
                "problem",
                format!("base repository {repository}: {problem}"),
            ));
        }
    }
    for problem in &plan.problems {
        notes.push(note(
            "problem",
            format!("{}: {}", problem.pkgbase, problem.message),
        ));
    }
    for cycle in &plan.cycles {
        let mut text = format!(
            "{} packages need each other: {}",
            cycle.members.len(),
            some(&cycle.members)
        );
        for edge in cycle.broken.iter().take(SHOWN) {
            let _ = write!(
                text,
                "; {} is built without the new {} first ({}), then again",
                edge.to, edge.from, edge.kind
            );
        }
        if cycle.broken.len() > SHOWN {
            let _ = write!(
                text,
                "; and {} more such breaks",
                cycle.broken.len() - SHOWN
            );
        }
        notes.push(note("cycle", text));
    }
    // What the base repositories hold is found when a build installs it.
    let mut unresolved: std::collections::BTreeMap<&str, Vec<&Pkgbase>> =
        std::collections::BTreeMap::new();
    for missing in &plan.unresolved {
        let in_base = base.versions.contains_key(missing.name.as_str());
        if !in_base {
            unresolved
                .entry(&missing.name)
                .or_default()
                .push(&missing.pkgbase);
        }
    }
    for (name, wanted_by) in unresolved {
        notes.push(note(
            "unresolved",
            format!("{name}, wanted by {}", some(&wanted_by)),
        ));
    }
    notes
}

/// How many names a note lists.
const SHOWN: usize = 8;

fn some<T: std::fmt::Display>(names: &[T]) -> String {
    let mut text = String::new();
    for (index, name) in names.iter().take(SHOWN).enumerate() {
        let comma = if index > 0 { ", " } else { "" };
        let _ = write!(text, "{comma}{name}");
    }
    if names.len() > SHOWN {
        let _ = write!(text, " and {} more", names.len() - SHOWN);
    }
    text
}

/// Stores a planned iteration: its commits, builds and edges.
///
/// # Errors
/// When the database cannot be written.
pub async fn store(
    tx: &mut WriteTransaction,
    iteration: IterationId,
    origins: &[ResolvedChangeset],
    planned: PlannedIteration,
) -> Result<(), Error> {
    let fixed: Vec<_> = origins
        .iter()
        .map(|origin| (origin.changeset.clone(), origin.head.commit.clone()))
        .collect();
    iterations::insert_origins(tx, iteration, &fixed).await?;
    let mut shared: HashMap<(Pkgbase, u32), BuildId> = HashMap::new();
    for (number, mut part) in planned.architectures.into_iter().enumerate() {
        for (repository, digest) in &part.base.databases {
            let digest = digest.as_deref().map_err(String::as_str);
            iterations::insert_base(tx, iteration, &part.architecture, repository, digest).await?;
        }
        let mut ids: Vec<BuildId> = Vec::with_capacity(part.builds.len());
        for (place, build) in part.builds.iter_mut().enumerate() {
            let key = (build.pkgbase.clone(), build.stage);
            // The first architecture builds packages of architecture `any` for all.
            if number > 0 && part.is_any[place] {
                build.shared_build = shared.get(&key).copied();
                build.missing += u32::from(build.shared_build.is_some());
            }
            let id = plans::insert_build(tx, iteration, build).await?;
            if number == 0 && part.is_any[place] {
                shared.insert(key, id);
            }
            for (needs, kind) in &part.needs[place] {
                plans::insert_edge(tx, id, ids[*needs], kind).await?;
            }
            if let Some(source) = build.shared_build {
                plans::insert_edge(tx, id, source, "shared").await?;
            }
            ids.push(id);
        }
    }
    plans::insert_notes(tx, iteration, &planned.notes).await?;
    Ok(())
}
