//! Chooses the builds to dispatch next: fair between namespaces, by priority within each.

use std::collections::HashMap;

use crate::db::NamespaceId;
use crate::db::builds::Candidate;

/// Chooses up to `count` of the candidates. The namespace with the fewest dispatched builds comes first, so that one
/// with thousands of ready builds cannot starve a small one.
pub(crate) fn choose(mut candidates: Vec<Candidate>, count: usize) -> Vec<Candidate> {
    // The highest priority is last, because candidates are popped from the end.
    candidates.sort_by_key(|candidate| (candidate.priority_s, std::cmp::Reverse(candidate.id)));
    let mut queues: HashMap<NamespaceId, (i64, Vec<Candidate>)> = HashMap::new();
    for candidate in candidates {
        let queue = queues.entry(candidate.namespace);
        queue
            .or_insert((candidate.namespace_load, Vec::new()))
            .1
            .push(candidate);
    }
    let mut chosen = Vec::with_capacity(count);
    while chosen.len() < count {
        let next = queues
            .iter_mut()
            .filter(|(_, (_, builds))| !builds.is_empty())
            .min_by_key(|(namespace, (load, _))| (*load, namespace.0));
        let Some((_, (load, builds))) = next else {
            break;
        };
        *load += 1;
        chosen.extend(builds.pop());
    }
    chosen
}

#[cfg(test)]
mod tests {
    use buildbtw_model::BuildId;

    use super::*;

    fn chosen(candidates: Vec<Candidate>, count: usize) -> Vec<BuildId> {
        let chosen = choose(candidates, count).into_iter();
        chosen.map(|candidate| candidate.id).collect()
    }

    fn candidate(id: i64, namespace: i64, priority_s: i64, namespace_load: i64) -> Candidate {
        Candidate {
            id: BuildId(id),
            namespace: NamespaceId(namespace),
            priority_s,
            namespace_load,
            failed_on: None,
            not_before: None,
        }
    }

    #[test]
    fn chooses_most_urgent_build_of_a_namespace() {
        let candidates = vec![
            candidate(1, 1, 10, 0),
            candidate(2, 1, 30, 0),
            candidate(3, 1, 30, 0),
        ];
        assert_eq!(chosen(candidates, 2), [BuildId(2), BuildId(3)]);
    }

    #[test]
    fn large_namespace_does_not_starve_small_one() {
        let mut candidates: Vec<_> = (1..=100).map(|id| candidate(id, 1, 1_000, 50)).collect();
        candidates.push(candidate(200, 2, 1, 0));
        assert_eq!(chosen(candidates.clone(), 1), [BuildId(200)]);
        assert_eq!(
            chosen(candidates, 3),
            [BuildId(200), BuildId(1), BuildId(2)]
        );
    }

    #[test]
    fn equal_namespaces_take_turns() {
        let candidates = vec![
            candidate(1, 1, 1, 0),
            candidate(2, 1, 1, 0),
            candidate(3, 2, 1, 0),
            candidate(4, 2, 1, 0),
        ];
        assert_eq!(chosen(candidates, 4), [1, 3, 2, 4].map(BuildId));
    }
}
