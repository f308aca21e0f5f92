//! Plans an iteration: runs the planner for each architecture, resolves commits, finds reusable builds, assigns
//! versions, and stores the result as rows.

mod bootstrap;
mod draft;
mod inputs;
mod notes;
mod plan_input;
mod planned;
mod preview;
mod reuse;
mod store;
mod versions;

use std::time::Duration;

use buildbtw_model::api::ProblemKind;
use buildbtw_model::{Architecture, RepositoryName, saturating};

use crate::config::Config;
use crate::db::durations;
use crate::error::{Error, Refusal};
use crate::planning::queue::{Caller, PlanBudget};
use crate::sources::CatalogSnapshot;
use crate::state::parts::PlanningParts;

use super::source_problems::FetchRules;

pub(crate) use plan_input::FilesBefore;
pub use plan_input::PlanInput;
pub use planned::{DraftedIteration, PlannedArchitecture, PlannedIteration};
pub use preview::Preview;
pub(in crate::service) use store::store;

use draft::Drafter;
use inputs::BuildSettings;

/// Plans an iteration for all architectures from one snapshot of the sources, when it is the caller's turn.
///
/// # Errors
/// When the plan has too many builds or takes too long, or when no origin can be built for any architecture.
pub async fn draft(
    parts: PlanningParts<'_>,
    caller: Caller,
    input: &PlanInput,
) -> Result<DraftedIteration, Error> {
    let snapshot = parts.sources.catalog_snapshot();
    let mut planned = Vec::new();
    for architecture in &parts.config.architectures {
        let part = plan_architecture(parts, caller, input, &snapshot, architecture.clone()).await?;
        planned.push(part);
    }
    check_size(parts.config, &planned, input.max_builds)?;
    Ok(DraftedIteration {
        architectures: planned,
        snapshot,
    })
}

/// Completes a plan that is to be stored: finds the builds whose packages are reused, assigns versions and writes the
/// notes.
///
/// # Errors
/// When it takes too long, or the database cannot be read.
pub async fn complete(
    parts: PlanningParts<'_>,
    caller: Caller,
    input: &PlanInput,
    drafted: DraftedIteration,
) -> Result<PlannedIteration, Error> {
    let DraftedIteration {
        architectures: mut planned,
        snapshot,
    } = drafted;
    let build_settings = BuildSettings::of(parts.config, input.network);
    let hash = move |budget: &PlanBudget| {
        for part in &mut planned {
            planned::hash_inputs(part, &build_settings, budget)?;
        }
        Ok(planned)
    };
    let mut planned = parts.planning.plan(caller, hash).await?;
    for part in &mut planned {
        reuse::find(parts.database, parts.repos, input, &mut part.drafts).await?;
    }
    let input = input.clone();
    let assign = move |budget: &PlanBudget| {
        let index = snapshot.catalog().index();
        versions::assign_versions(&mut planned, &input, index, budget)?;
        for part in &mut planned {
            let found = versions::problems(part, index, budget)?;
            let problems = &mut part.plan.problems;
            problems.extend(found);
            problems.sort();
            problems.dedup();
        }
        Ok(planned)
    };
    let planned = parts.planning.plan(caller, assign).await?;
    let mut notes = Vec::new();
    for part in &planned {
        let found = notes::notes(part).into_iter();
        notes.extend(found.map(|note| (part.architecture.clone(), note)));
    }
    Ok(PlannedIteration {
        architectures: planned,
        notes,
    })
}

/// Refuses plans without builds, and plans with too many.
pub(super) fn check_size(
    config: &Config,
    parts: &[PlannedArchitecture],
    max_builds: u32,
) -> Result<(), Error> {
    let total: usize = parts.iter().map(|part| part.drafts.len()).sum();
    if total == 0 {
        let names: Vec<_> = config
            .architectures
            .iter()
            .map(Architecture::as_str)
            .collect();
        let names = names.join(" or ");
        return Err(Refusal::new(
            ProblemKind::InvalidRequest,
            format!("none of the changesets can be built for {names}"),
        )
        .detail("their `arch` arrays name other architectures")
        .hint(format!(
            "add {names} to `arch` in a PKGBUILD and its .SRCINFO, or start the server with another --architectures"
        ))
        .into());
    }
    match total > saturating::<usize, _>(max_builds) {
        true => Err(too_large(parts, total, max_builds)),
        false => Ok(()),
    }
}

async fn plan_architecture(
    parts: PlanningParts<'_>,
    caller: Caller,
    input: &PlanInput,
    snapshot: &CatalogSnapshot,
    architecture: Architecture,
) -> Result<PlannedArchitecture, Error> {
    let mut base = parts.base.snapshot(&architecture).await;
    if let Some((repository, problem)) = base.newly_unreadable(&architecture, &input.snapshot) {
        return Err(unreadable(repository, &architecture, problem));
    }
    let moved = match input.refresh_base {
        true => Vec::new(),
        false => base.pin_digests(&architecture, &input.snapshot),
    };
    let estimates = durations::estimates(parts.database.read(), &architecture).await?;
    let known_sonames = parts.sonames.of(parts.database, &architecture);
    let (input, snapshot) = (input.clone(), snapshot.clone());
    let fetched = FetchRules::current(parts.fetched, input.network);
    let make = move |budget: &PlanBudget| {
        let catalog = snapshot.catalog();
        let sonames = known_sonames.get(&base, budget)?;
        let drafter = Drafter {
            catalog,
            input: &input,
            estimates: &estimates,
            base: &base,
            sonames: &sonames,
        };
        let (mut plan, footprint) = drafter.plan(&architecture, budget)?;
        bootstrap::check(&plan)?;
        let drafts = drafter.drafts(&plan)?;
        let packages = drafts.iter().map(|draft| draft.package.as_ref());
        let fetched = fetched.problems(packages, &architecture);
        plan.problems.extend(fetched);
        Ok(PlannedArchitecture {
            architecture,
            base,
            drafts,
            footprint,
            plan,
            moved,
        })
    };
    parts.planning.plan(caller, make).await
}

/// Creates the refusal of a plan without a base repository that the previous plan had: it would lose members that are
/// reached through the repository's packages, and assign releases below those in it.
pub(super) fn unreadable(
    repository: &RepositoryName,
    architecture: &Architecture,
    problem: &str,
) -> Error {
    let title = format!("cannot read the base repository `{repository}` for {architecture}");
    Refusal::new(ProblemKind::Unavailable, title)
        .detail(problem)
        .hint("the previous iteration was planned with it; try again when its mirror is available")
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
    let builds = if total == 1 { "build" } else { "builds" };
    Refusal::new(
        ProblemKind::PlanTooLarge,
        format!("the plan has {total} {builds}, more than the limit of {limit}"),
    )
    .detail(counts.join(", "))
    .hint("raise the limit with --max-builds, or choose a narrower --scope")
    .into()
}
