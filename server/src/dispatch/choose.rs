//! Chooses the builds to dispatch next: by the priority of their namespaces, fair between people and their namespaces
//! over the last day, and by critical path within each namespace.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::time::Duration;

use buildbtw_model::{Priority, saturating};

use crate::db::NamespaceId;
use crate::db::builds::Candidate;
use crate::state::shares::Usage;
use crate::time::Millis;

/// A namespace with ready builds gets at least one of so many equal shares of the running builds, whatever its
/// priority, and whatever was built for its person before.
const MIN_SHARE: i64 = 4;

/// A namespace with ready builds gets a worker after this time at the latest, also where there are few workers.
const MAX_WAIT: Duration = Duration::from_secs(3600);

/// The ready builds of a namespace.
struct Queue {
    person: String,
    priority: Priority,
    /// How many of its builds run, those included that are chosen.
    running: i64,
    /// Milliseconds of work that are chosen.
    charged: i64,
    /// Since when it has got no worker, although it has ready builds.
    waits_since: Millis,
    /// The longest critical path is last, because builds are popped from the end.
    builds: Vec<Candidate>,
}

/// Chooses up to `count` of the candidates for an architecture.
pub(crate) fn choose(
    candidates: Vec<Candidate>,
    count: usize,
    usage: &Usage,
    now: Millis,
) -> Vec<Candidate> {
    let mut queues = queues(candidates, usage, now);
    let mut chosen = Vec::with_capacity(count);
    let mut charged: HashMap<String, i64> = HashMap::new();
    while chosen.len() < count {
        queues.retain(|_, queue| !queue.builds.is_empty());
        let running: i64 = queues.values().map(|queue| queue.running).sum();
        let competing: i64 = saturating(queues.len().max(1));
        let guaranteed = (running + 1) / (MIN_SHARE * competing);
        let next = queues.iter_mut().min_by_key(|(id, queue)| {
            let is_starved = queue.running < guaranteed || now.since(queue.waits_since) >= MAX_WAIT;
            let of_person = charged.get(&queue.person).copied().unwrap_or(0);
            (
                queue.priority != Priority::Urgent,
                !is_starved,
                Reverse(queue.priority),
                usage.of_person(&queue.person) + of_person,
                usage.of_namespace(**id) + queue.charged,
                id.0,
            )
        });
        let Some((_, queue)) = next else {
            break;
        };
        let Some(build) = queue.builds.pop() else {
            break;
        };
        let expected = build.estimate_s.max(1) * 1_000;
        queue.running += 1;
        queue.charged += expected;
        queue.waits_since = now;
        *charged.entry(queue.person.clone()).or_default() += expected;
        chosen.push(build);
    }
    chosen
}

/// Returns the candidates by namespace.
fn queues(
    mut candidates: Vec<Candidate>,
    usage: &Usage,
    now: Millis,
) -> HashMap<NamespaceId, Queue> {
    candidates.sort_by_key(|candidate| (candidate.critical_path_s, Reverse(candidate.id)));
    let mut queues: HashMap<NamespaceId, Queue> = HashMap::new();
    for candidate in candidates {
        let id = candidate.namespace;
        let ready_at = candidate.ready_at.unwrap_or(now);
        let queue = queues.entry(id).or_insert_with(|| Queue {
            person: candidate.person.clone(),
            priority: candidate.priority,
            running: candidate.namespace_load,
            charged: 0,
            waits_since: ready_at,
            builds: Vec::new(),
        });
        queue.waits_since = queue.waits_since.min(ready_at);
        queue.builds.push(candidate);
    }
    for (id, queue) in &mut queues {
        let last = usage.last_dispatch(*id);
        queue.waits_since = last
            .into_iter()
            .chain([queue.waits_since])
            .max()
            .unwrap_or(now);
    }
    queues
}

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
