//! The outages of all background tasks, for pages, the API and the command line.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::outage::{Current, Outage};

/// The outages by task. The runner of the tasks adds each. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Outages(Arc<Mutex<Vec<(&'static str, Outage)>>>);

/// A task in an outage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailingTask {
    /// The name of the task.
    pub task: &'static str,
    /// What it cannot do.
    pub title: &'static str,
    /// Its outage.
    pub outage: Current,
}

impl Outages {
    /// Adds an outage of a task, which may have several. It stays for as long as the server runs.
    pub(crate) fn add(&self, task: &'static str, outage: Outage) {
        let mut all = self.lock();
        all.push((task, outage));
        all.sort_by_key(|(task, _)| *task);
    }

    /// Returns the tasks that are in an outage now, by name.
    #[must_use]
    pub fn current(&self) -> Vec<FailingTask> {
        let all = self.lock();
        let failing = all.iter().filter_map(|(task, outage)| {
            Some(FailingTask {
                task,
                title: outage.title(),
                outage: outage.current()?,
            })
        });
        failing.collect()
    }

    /// Returns every task, with whether it is in an outage now.
    #[must_use]
    pub fn by_task(&self) -> BTreeMap<&'static str, bool> {
        let mut tasks = BTreeMap::new();
        for (task, outage) in self.lock().iter() {
            *tasks.entry(*task).or_default() |= outage.current().is_some();
        }
        tasks
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(&'static str, Outage)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
