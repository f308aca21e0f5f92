//! Estimates when builds will end, by simulating the rest of an iteration on the available workers.

use std::collections::HashMap;

use buildbtw_model::{Architecture, BuildId, saturating};
use jiff::{SignedDuration, Timestamp};

use super::iteration_graph::IterationGraph;
use crate::db::builds::PlannedBuild;
use crate::error::Error;

/// Returns the expected end of every build that can still be built, if there are workers. `started` has the start of
/// running builds.
///
/// # Errors
/// When the builds form a cycle, which no plan has.
pub(super) fn estimate<B: PlannedBuild>(
    graph: &IterationGraph<'_, B>,
    started: &HashMap<BuildId, Timestamp>,
    workers: &HashMap<Architecture, usize>,
    now: Timestamp,
) -> Result<HashMap<BuildId, Timestamp>, Error> {
    let remaining_s = |row: &B| {
        let elapsed = started.get(&row.id()).map_or(0, |start| {
            let elapsed = now.duration_since(*start).as_secs();
            elapsed.max(0).unsigned_abs()
        });
        // A build that has exceeded its estimate may end at any moment.
        u64::from(row.estimate_s()).saturating_sub(elapsed)
    };
    let mut etas = HashMap::new();
    for (architecture, workers) in workers.iter().filter(|(_, workers)| **workers > 0) {
        for (id, end) in graph.ends(architecture, remaining_s, *workers)? {
            let end = SignedDuration::from_secs(saturating(end));
            if let Ok(eta) = now.checked_add(end) {
                etas.insert(id, eta);
            }
        }
    }
    Ok(etas)
}
