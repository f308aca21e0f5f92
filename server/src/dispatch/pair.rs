//! Assigns builds to waiting claims. A worker on which a build has just been lost or failed because of the
//! infrastructure is the last one to get it again.

use std::time::Duration;

use buildbtw_model::{BuildId, WorkerName};

use crate::db::builds::Candidate;
use crate::time::Millis;

/// How long a build waits for another worker than the one it failed on, if there is one.
const OTHER_WORKER_WAIT: Duration = Duration::from_secs(30);

/// Pairs of the position of a claim and a build, and when a build that waits for another worker may go to any.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Pairs {
    pub(crate) pairs: Vec<(usize, BuildId)>,
    pub(crate) again_at: Option<Millis>,
}

/// Assigns builds to claims. `waiting` are the workers of the claims, `alive` all workers that may send one.
pub(crate) fn pair(
    builds: &[Candidate],
    waiting: &[&WorkerName],
    alive: &[WorkerName],
    now: Millis,
) -> Pairs {
    let mut free: Vec<usize> = (0..waiting.len()).collect();
    let mut result = Pairs::default();
    for build in builds {
        let failed_on = |worker: &WorkerName| build.failed_on.as_ref() == Some(worker);
        let other = free.iter().position(|&place| !failed_on(waiting[place]));
        let place = match other {
            Some(place) => place,
            None if free.is_empty() => break,
            None => {
                let any_at = build.not_before.unwrap_or(Millis(0)) + OTHER_WORKER_WAIT;
                if any_at > now && alive.iter().any(|worker| !failed_on(worker)) {
                    result.again_at = result.again_at.into_iter().chain([any_at]).min();
                    continue;
                }
                0
            }
        };
        result.pairs.push((free.remove(place), build.id));
    }
    result
}

#[cfg(test)]
mod tests {
    use buildbtw_model::Priority;

    use super::*;
    use crate::db::NamespaceId;

    fn build(id: i64, failed_on: Option<&str>) -> Candidate {
        Candidate {
            id: BuildId(id),
            namespace: NamespaceId(1),
            person: String::new(),
            priority: Priority::Normal,
            namespace_load: 0,
            critical_path_s: 1,
            estimate_s: 1,
            ready_at: None,
            failed_on: failed_on.map(|name| name.parse().unwrap()),
            not_before: failed_on.map(|_| Millis(1_000)),
        }
    }

    fn names(names: &[&str]) -> Vec<WorkerName> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    fn paired(builds: &[Candidate], waiting: &[&str], alive: &[&str], now: i64) -> Pairs {
        let waiting = names(waiting);
        pair(
            builds,
            &waiting.iter().collect::<Vec<_>>(),
            &names(alive),
            Millis(now),
        )
    }

    #[test]
    fn assigns_most_urgent_build_to_longest_waiting_claim() {
        let found = paired(&[build(7, None), build(8, None)], &["a", "b"], &[], 0);
        assert_eq!(found.pairs, [(0, BuildId(7)), (1, BuildId(8))]);
    }

    #[test]
    fn prefers_worker_where_build_has_not_failed() {
        let builds = [build(7, Some("a")), build(8, None)];
        let found = paired(&builds, &["a", "b"], &["a", "b"], 2_000);
        assert_eq!(found.pairs, [(1, BuildId(7)), (0, BuildId(8))]);
    }

    #[test]
    fn waits_briefly_for_another_worker() {
        let builds = [build(7, Some("a"))];
        let found = paired(&builds, &["a"], &["a", "b"], 2_000);
        assert_eq!(found.pairs, []);
        assert_eq!(found.again_at, Some(Millis(31_000)));
        let found = paired(&builds, &["a"], &["a", "b"], 31_000);
        assert_eq!(found.pairs, [(0, BuildId(7))]);
        // There is no other worker.
        let found = paired(&builds, &["a"], &["a"], 2_000);
        assert_eq!(found.pairs, [(0, BuildId(7))]);
    }
}
