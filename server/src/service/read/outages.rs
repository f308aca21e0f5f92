//! The outages of background tasks.

use buildbtw_model::api::{Page, TaskOutage};

use crate::error::Error;
use crate::state::outages::{FailingTask, Outages};

use super::paging::{List, Paging, page};

/// Returns a page of the current outages of background tasks, ordered by task.
///
/// # Errors
/// When the cursor or the limit is invalid.
pub fn list_outages(outages: &Outages, paging: &Paging) -> Result<Page<TaskOutage>, Error> {
    let list = List::Outages.whole();
    let after = paging.key(&list)?;
    let mut failing = outages.current();
    failing.sort_by_key(key);
    failing.retain(|task| after.as_ref().is_none_or(|after| key(task) > *after));
    let next = paging.cut(&list, &mut failing, key)?;
    Ok(page(failing, next, |failing| TaskOutage {
        task: failing.task,
        title: failing.title.to_owned(),
        message: failing.outage.cause.message,
        hint: failing.outage.cause.hint,
        since: failing.outage.since,
    }))
}

/// Returns the key of an entry: a task may have several outages, each with its own title.
fn key(failing: &FailingTask) -> String {
    format!("{}: {}", failing.task, failing.title)
}
