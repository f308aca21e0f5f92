//! The outages of background tasks.

use buildbtw_model::api::TaskOutage;

use crate::state::outages::Outages;

/// Returns the current outages of background tasks, ordered by task.
#[must_use]
pub fn list_outages(outages: &Outages) -> Vec<TaskOutage> {
    let failing = outages.current().into_iter().map(|failing| TaskOutage {
        task: failing.task.to_owned(),
        title: failing.title.to_owned(),
        message: failing.outage.message,
        since: failing.outage.since,
    });
    failing.collect()
}
