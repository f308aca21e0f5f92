//! What earlier builds say about those of a plan.

use buildbtw_model::api::{PlanFailure, PlanReuse};
use buildbtw_planner::{BuildFacts, Plan};

use crate::db::attempts;
use crate::error::Error;
use crate::planning::queue::Caller;
use crate::service::plan_iteration::Preview;
use crate::state::parts::PlanningParts;

/// The maximum number of builds of a plan for which reuse is looked up: the files of every reused build are checked.
const MAX_REUSE: usize = 1_000;

/// The note of a plan with more.
const NO_REUSE: &str = "reused builds are shown for plans of at most 1000 builds";

/// Returns the plan with facts about its builds, and a note if some are not looked up.
///
/// # Errors
/// When it takes too long, or the database cannot be read.
pub(super) async fn with_facts(
    parts: PlanningParts<'_>,
    caller: Caller,
    preview: Preview,
) -> Result<(Plan, Option<String>), Error> {
    let (mut plan, reused, note) = if preview.plan.builds.len() > MAX_REUSE {
        (preview.plan, Vec::new(), Some(NO_REUSE.to_owned()))
    } else {
        let (plan, reused) = preview.find_reused(parts, caller).await?;
        (plan, reused, None)
    };
    let facts = facts(parts, &plan, reused).await?;
    plan.add_facts(facts);
    Ok((plan, note))
}

/// Returns the facts about the builds of a plan, in their order.
async fn facts(
    parts: PlanningParts<'_>,
    plan: &Plan,
    reused: Vec<Option<PlanReuse>>,
) -> Result<Vec<BuildFacts>, Error> {
    let pkgbases: Vec<_> = plan.builds.iter().map(|build| &build.pkgbase).collect();
    let reader = parts.database.read();
    let failures = attempts::last_failures(reader, &plan.architecture, &pkgbases).await?;
    let reused = reused.into_iter().chain(std::iter::repeat(None));
    let facts = plan.builds.iter().zip(reused).map(|(build, reuse)| {
        // The second stage of a package would say the same as the first one.
        let failed = failures.get(&build.pkgbase).filter(|_| build.stage == 1);
        BuildFacts {
            reuse,
            last_failure: failed.map(last_failure),
        }
    });
    Ok(facts.collect())
}

fn last_failure(failure: &attempts::LastFailure) -> PlanFailure {
    let message = failure.message.as_deref().unwrap_or_default();
    let first = message.lines().next().unwrap_or("no cause is known");
    PlanFailure {
        attempt: failure.attempt,
        namespace: failure.namespace.clone(),
        message: first.to_owned(),
        at: failure.at.into(),
    }
}
