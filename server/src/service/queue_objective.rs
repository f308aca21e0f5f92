//! The objective of the queue: no build is ready for long while a worker is free. It is measured independently of the
//! task that assigns builds, so that it also shows when that does not work.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use buildbtw_model::{Architecture, BuildId};

use crate::db::figures;
use crate::error::Error;
use crate::state::parts::MonitoringParts;

/// The maximum number of builds that are watched.
const MOST: i64 = 10_000;

/// For how long builds were ready while a worker was free.
#[derive(Debug)]
pub struct QueueObjective {
    limit: Duration,
    builds: HashMap<BuildId, Watched>,
    /// The architectures with a free worker at the last check.
    free: BTreeSet<Architecture>,
}

#[derive(Debug, Default)]
struct Watched {
    waited: Duration,
    is_counted: bool,
}

impl QueueObjective {
    /// Creates an objective that is exceeded after `limit`.
    #[must_use]
    pub fn new(limit: Duration) -> Self {
        Self {
            limit,
            builds: HashMap::new(),
            free: BTreeSet::new(),
        }
    }

    /// Reads ready builds and free workers. `elapsed` is the time since the last call. Counts each build that exceeds
    /// the objective once.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn watch(
        &mut self,
        parts: MonitoringParts<'_>,
        elapsed: Duration,
    ) -> Result<(), Error> {
        let free = parts.claims.waiting().architectures;
        let ready = if free.is_empty() {
            Vec::new()
        } else {
            let now = parts.database.clock().now();
            figures::waiting(parts.database.read(), now, MOST).await?
        };
        let ready = ready
            .into_iter()
            .map(|build| (build.id, build.architecture));
        for architecture in self.advance(elapsed, ready, free) {
            parts.metrics.builds.objective_exceeded(&architecture);
        }
        Ok(())
    }

    /// Adds the elapsed time to the builds that were ready at both checks, if a worker was free at both. Returns the
    /// architectures of builds that exceed the objective now.
    fn advance(
        &mut self,
        elapsed: Duration,
        ready: impl IntoIterator<Item = (BuildId, Architecture)>,
        free: BTreeSet<Architecture>,
    ) -> Vec<Architecture> {
        let mut before = std::mem::take(&mut self.builds);
        let mut exceeded = Vec::new();
        for (id, architecture) in ready {
            if !free.contains(&architecture) {
                continue;
            }
            let mut build = Watched::default();
            if let Some(known) = before.remove(&id) {
                build = known;
                if self.free.contains(&architecture) {
                    build.waited += elapsed;
                }
            }
            if build.waited > self.limit && !build.is_counted {
                build.is_counted = true;
                exceeded.push(architecture);
            }
            self.builds.insert(id, build);
        }
        self.free = free;
        exceeded
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn architecture(name: &str) -> Architecture {
        name.parse().unwrap()
    }

    fn set(names: &[&str]) -> BTreeSet<Architecture> {
        names.iter().map(|name| architecture(name)).collect()
    }

    /// Advances by a second and returns how many builds exceed the objective.
    fn check(objective: &mut QueueObjective, ready: &[i64], free: &[&str]) -> usize {
        let ready = ready
            .iter()
            .map(|id| (BuildId(*id), architecture("x86_64")));
        objective.advance(SECOND, ready, set(free)).len()
    }

    #[test]
    fn counts_build_once_when_it_waits_for_longer_than_the_limit() {
        let mut objective = QueueObjective::new(2 * SECOND);
        let counts = [(); 5].map(|()| check(&mut objective, &[1], &["x86_64"]));
        assert_eq!(counts, [0, 0, 0, 1, 0]);
        // Ready again after another attempt: it counts again.
        check(&mut objective, &[], &["x86_64"]);
        let counts = [(); 4].map(|()| check(&mut objective, &[1], &["x86_64"]));
        assert_eq!(counts, [0, 0, 0, 1]);
    }

    #[test]
    fn does_not_count_while_all_workers_build() {
        let mut objective = QueueObjective::new(2 * SECOND);
        for _ in 0..10 {
            assert_eq!(check(&mut objective, &[1, 2], &[]), 0);
            assert_eq!(check(&mut objective, &[1, 2], &["aarch64"]), 0);
        }
        assert!(objective.builds.is_empty());
    }
}
