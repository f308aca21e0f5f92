//! Estimates when builds will end, by simulating the rest of an iteration on the available workers.

use std::collections::HashMap;

use buildbtw_model::{Architecture, BuildId, BuildStatus, saturating};
use buildbtw_planner::simulate::{Policy, SimulatedBuild, ends};
use jiff::{SignedDuration, Timestamp};

use super::iteration_graph::IterationGraph;
use crate::db::builds::BuildRow;

/// Returns the expected end of every build that can still be built, if there are workers. `started` has the start of
/// running builds; rows are in a valid order.
pub(super) fn estimate(
    rows: &[BuildRow],
    graph: &IterationGraph<'_>,
    started: &HashMap<BuildId, Timestamp>,
    workers: &HashMap<Architecture, usize>,
    now: Timestamp,
) -> HashMap<BuildId, Timestamp> {
    let mut etas = HashMap::new();
    for (architecture, workers) in workers.iter().filter(|(_, workers)| **workers > 0) {
        let mut places: HashMap<BuildId, usize> = HashMap::new();
        let mut ids = Vec::new();
        let mut builds = Vec::new();
        let stuck = graph.stuck(architecture);
        for row in rows.iter().filter(|row| row.architecture == *architecture) {
            let is_over = matches!(row.status, BuildStatus::Built | BuildStatus::Reused);
            if is_over || stuck.contains(&row.id) {
                continue;
            }
            let elapsed = started.get(&row.id).map_or(0, |start| {
                let elapsed = now.duration_since(*start).as_secs();
                elapsed.max(0).unsigned_abs()
            });
            places.insert(row.id, builds.len());
            ids.push(row.id);
            builds.push(SimulatedBuild {
                // A build that has exceeded its estimate may end at any moment.
                duration_s: u64::from(row.estimate_s).saturating_sub(elapsed),
                needs: graph
                    .needs(row.id)
                    .filter_map(|needed| places.get(&needed.id))
                    .copied()
                    .collect(),
            });
        }
        for (id, end) in ids
            .into_iter()
            .zip(ends(&builds, *workers, Policy::CriticalPath))
        {
            let end = SignedDuration::from_secs(saturating(end));
            if let Ok(eta) = now.checked_add(end) {
                etas.insert(id, eta);
            }
        }
    }
    etas
}
