//! The outages of all background tasks, for pages, the API and the command line.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use buildbtw_model::BackgroundTask;

use crate::outage::{Current, Outage};

/// The outages by task. The runner of the tasks adds each. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Outages(Arc<Mutex<Vec<(BackgroundTask, Outage)>>>);

/// A task in an outage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailingTask {
    /// The task.
    pub task: BackgroundTask,
    /// What it cannot do.
    pub title: &'static str,
    /// Its outage.
    pub outage: Current,
}

impl Outages {
    /// Adds an outage of a task, which may have several. It stays for as long as the server runs.
    pub(crate) fn add(&self, task: BackgroundTask, outage: Outage) {
        let mut all = self.lock();
        all.push((task, outage));
        all.sort_by_key(|(task, _)| task.as_str());
    }

    /// Returns the tasks that are in an outage now, by name.
    #[must_use]
    pub fn current(&self) -> Vec<FailingTask> {
        let all = self.lock();
        let failing = all.iter().filter_map(|(task, outage)| {
            Some(FailingTask {
                task: *task,
                title: outage.title(),
                outage: outage.current()?,
            })
        });
        failing.collect()
    }

    /// Returns the name of every task, with whether it is in an outage now.
    #[must_use]
    pub fn by_task(&self) -> BTreeMap<&'static str, bool> {
        let mut tasks = BTreeMap::new();
        for (task, outage) in self.lock().iter() {
            *tasks.entry(task.as_str()).or_default() |= outage.current().is_some();
        }
        tasks
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(BackgroundTask, Outage)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
