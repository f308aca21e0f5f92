//! Plans an iteration: asks the planner for each architecture, fixes commits, finds what can be
//! reused, fixes versions, and stores the result as rows.

mod bootstrap;
mod draft;
mod inputs;
mod notes;
mod reuse;
mod store;
mod versions;

use std::collections::HashMap;
use std::time::Duration;

use buildbtw_model::api::{PlanNote, ProblemKind};
use buildbtw_model::{
    Architecture, CommitHash, NamespaceName, NetworkPolicy, Pkgbase, RepositoryName, Scope,
    TreeHash,
};
use buildbtw_planner::{Footprint, Patterns, Problem};

use crate::app_state::AppState;
use crate::db::packages::Produced;
use crate::db::{NamespaceId, attempts};
use crate::error::{Error, Refusal};
use crate::repos::base::{BaseSnapshot, SnapshotDigests};
use crate::sources::{CatalogSnapshot, Freshness, ResolvedChangeset};

use super::planning::{Caller, PlanBudget};
use super::source_problems::Fetched;

pub use store::store;

use draft::{Draft, Drafter};
use inputs::MadeWith;
use notes::Notes;

/// What an iteration is planned from.
#[derive(Clone)]
pub struct PlanInput {
    /// The namespace, when it exists already.
    pub namespace: Option<NamespaceId>,
    /// Its name, if it is known yet.
    pub name: Option<NamespaceName>,
    /// The origins at the commits they have now.
    pub origins: Vec<ResolvedChangeset>,
    /// How far the rebuild spreads.
    pub scope: Scope,
    /// What is rebuilt in any case.
    pub include: Patterns,
    /// What is never rebuilt.
    pub exclude: Patterns,
    /// Members of cycles that are built first without what they need of their cycle.
    pub bootstrap: Vec<Pkgbase>,
    /// Whether new versions of libraries are expected to keep their sonames.
    pub same_sonames: bool,
    /// Plans with more builds are refused.
    pub max_builds: u32,
    /// Whether rebuilt packages get a higher release.
    pub bump: bool,
    /// What its builds reach of the network.
    pub network: NetworkPolicy,
    /// The packages that earlier iterations of the namespace had, and of deleted ones of its name.
    pub produced: Vec<Produced>,
    /// The base snapshot of the iteration before; empty for a first one.
    pub snapshot: SnapshotDigests,
    /// Whether to plan with what the base repositories hold now, instead of that snapshot.
    pub refresh_base: bool,
}

/// The commits and trees of the iteration before.
pub(crate) type FilesBefore = HashMap<Pkgbase, (CommitHash, Option<TreeHash>)>;

/// An iteration that can be stored.
pub struct PlannedIteration {
    architectures: Vec<PlannedArchitecture>,
    notes: Vec<(Architecture, PlanNote)>,
    /// How often the index of the sources had changed before it was made.
    seen: u64,
}

/// The part of an iteration for one architecture.
pub struct PlannedArchitecture {
    architecture: Architecture,
    base: BaseSnapshot,
    drafts: Vec<Draft>,
    footprint: Footprint,
    problems: Vec<Problem>,
    notes: Notes,
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
                    "{} does not exist any more; it stays at {}",
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
                    kind: "sources".to_owned(),
                    text: text.clone(),
                };
                self.notes.push((part.architecture.clone(), note));
            }
        }
    }
}

/// Plans an iteration for all architectures, when it is the caller's turn. All are planned from the same
/// state of the sources.
///
/// # Errors
/// When the plan is larger than allowed, takes too long, or no origin can be built for any architecture.
pub async fn plan(
    state: &AppState,
    caller: Caller,
    input: &PlanInput,
) -> Result<PlannedIteration, Error> {
    let snapshot = state.sources.catalog_snapshot();
    let mut parts = Vec::new();
    for architecture in &state.config.architectures {
        let part = plan_architecture(state, caller, input, &snapshot, architecture.clone()).await?;
        parts.push(part);
    }
    check_size(state, &parts, input.max_builds)?;
    for part in &mut parts {
        reuse::find(state, input, &mut part.drafts).await?;
    }
    let (seen, input) = (snapshot.changes(), input.clone());
    let fix = move |budget: &PlanBudget| {
        let index = snapshot.catalog().index();
        versions::fix(&mut parts, &input, index, budget)?;
        for part in &mut parts {
            let problems = versions::problems(part, index, budget)?;
            part.problems.extend(problems);
            part.problems.sort();
            part.problems.dedup();
        }
        Ok(parts)
    };
    let mut parts = state.planning.plan(caller, fix).await?;
    let mut notes = Vec::new();
    for part in &mut parts {
        let problems = std::mem::take(&mut part.problems);
        let found = std::mem::take(&mut part.notes).with_problems(&problems);
        notes.extend(found.map(|note| (part.architecture.clone(), note)));
    }
    Ok(PlannedIteration {
        architectures: parts,
        notes,
        seen,
    })
}

/// Refuses plans without builds, and those with too many.
fn check_size(
    state: &AppState,
    parts: &[PlannedArchitecture],
    max_builds: u32,
) -> Result<(), Error> {
    let total: usize = parts.iter().map(|part| part.drafts.len()).sum();
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
    match total > usize::try_from(max_builds).unwrap_or(usize::MAX) {
        true => Err(too_large(parts, total, max_builds)),
        false => Ok(()),
    }
}

async fn plan_architecture(
    state: &AppState,
    caller: Caller,
    input: &PlanInput,
    snapshot: &CatalogSnapshot,
    architecture: Architecture,
) -> Result<PlannedArchitecture, Error> {
    let mut base = state.base.snapshot(&architecture).await;
    if let Some((repository, problem)) = base.lost(&architecture, &input.snapshot) {
        return Err(unreadable(repository, &architecture, problem));
    }
    let moved = match input.refresh_base {
        true => Vec::new(),
        false => base.keep(&architecture, &input.snapshot),
    };
    let durations = attempts::durations(state.database.read(), &architecture).await?;
    let known_sonames = state.sonames.of(&state.database, &architecture);
    let made_with = MadeWith::of(state, input.network);
    let (input, snapshot) = (input.clone(), snapshot.clone());
    let fetched = Fetched::now(state, input.network);
    let make = move |budget: &PlanBudget| {
        let catalog = snapshot.catalog();
        let sonames = known_sonames.get(&base, budget)?;
        let drafter = Drafter {
            catalog,
            input: &input,
            durations: &durations,
            base: &base,
            sonames: &sonames,
            made_with: &made_with,
        };
        let (plan, footprint) = drafter.plan(&architecture, budget)?;
        bootstrap::check(&plan)?;
        let drafts = drafter.drafts(&plan)?;
        let packages = drafts.iter().map(|draft| draft.package.as_ref());
        let fetched = fetched.problems(packages, &architecture);
        let notes = Notes::new(&plan, &base, &moved);
        Ok(PlannedArchitecture {
            architecture,
            base,
            drafts,
            footprint,
            problems: plan.problems.into_iter().chain(fetched).collect(),
            notes,
        })
    };
    state.planning.plan(caller, make).await
}

/// A plan without a base repository that the plan before had would lose members that are reached through its
/// packages, and give releases below those that it holds.
fn unreadable(repository: &RepositoryName, architecture: &Architecture, problem: &str) -> Error {
    let title = format!("the base repository {repository} for {architecture} cannot be read");
    Refusal::new(ProblemKind::Unavailable, title)
        .detail(problem)
        .hint("the iteration before was planned with it; its mirror has to answer again")
        .retry_after(PAUSE_WHEN_UNREADABLE)
        .into()
}

/// When to plan again after a base repository could not be read.
const PAUSE_WHEN_UNREADABLE: Duration = Duration::from_secs(30);

fn too_large(parts: &[PlannedArchitecture], total: usize, limit: u32) -> Error {
    let counts: Vec<_> = parts
        .iter()
        .map(|part| format!("{} for {}", part.drafts.len(), part.architecture))
        .collect();
    Refusal::new(
        ProblemKind::PlanTooLarge,
        format!("this would be {total} builds, more than the allowed {limit}"),
    )
    .detail(counts.join(", "))
    .hint("allow it with --max-builds, or choose a narrower --scope")
    .into()
}
