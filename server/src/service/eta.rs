//! When builds are expected to end: the rest of an iteration, run in thought on the workers there
//! are.

use std::collections::HashMap;

use buildbtw_model::{Architecture, BuildId, BuildStatus};
use buildbtw_planner::simulate::{Policy, SimulatedBuild, ends};
use jiff::{SignedDuration, Timestamp};

use crate::db::builds::BuildRow;

/// The expected end of every build that can still be built, as long as workers are there. `started`
/// says since when builds are running; rows come in a valid order.
pub(super) fn estimate(
    rows: &[BuildRow],
    edges: &[(BuildId, BuildId)],
    started: &HashMap<BuildId, Timestamp>,
    workers: &HashMap<Architecture, usize>,
    now: Timestamp,
) -> HashMap<BuildId, Timestamp> {
    let mut needs: HashMap<BuildId, Vec<BuildId>> = HashMap::new();
    for (build, needed) in edges {
        needs.entry(*build).or_default().push(*needed);
    }
    let mut etas = HashMap::new();
    for (architecture, workers) in workers.iter().filter(|(_, workers)| **workers > 0) {
        let mut places: HashMap<BuildId, usize> = HashMap::new();
        let mut ids = Vec::new();
        let mut builds = Vec::new();
        let mut stuck: Vec<BuildId> = Vec::new();
        for row in rows.iter().filter(|row| row.architecture == *architecture) {
            let needed = needs.get(&row.id).map(Vec::as_slice).unwrap_or_default();
            match row.status {
                BuildStatus::Built | BuildStatus::Reused => continue,
                BuildStatus::Failed | BuildStatus::Cancelled => {
                    stuck.push(row.id);
                    continue;
                }
                BuildStatus::Blocked if needed.iter().any(|needed| stuck.contains(needed)) => {
                    stuck.push(row.id);
                    continue;
                }
                BuildStatus::Blocked
                | BuildStatus::Ready
                | BuildStatus::Dispatched
                | BuildStatus::Building => {}
            }
            let elapsed = started.get(&row.id).map_or(0, |start| {
                u64::try_from(now.duration_since(*start).as_secs()).unwrap_or(0)
            });
            places.insert(row.id, builds.len());
            ids.push(row.id);
            builds.push(SimulatedBuild {
                // A build that takes longer than expected may end at any moment.
                duration_s: u64::try_from(row.estimate_s)
                    .unwrap_or(0)
                    .saturating_sub(elapsed),
                needs: needed
                    .iter()
                    .filter_map(|needed| places.get(needed))
                    .copied()
                    .collect(),
            });
        }
        for (id, end) in ids
            .into_iter()
            .zip(ends(&builds, *workers, Policy::CriticalPath))
        {
            let end = SignedDuration::from_secs(i64::try_from(end).unwrap_or(i64::MAX));
            if let Ok(eta) = now.checked_add(end) {
                etas.insert(id, eta);
            }
        }
    }
    etas
}
