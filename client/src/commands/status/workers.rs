//! The line of `status` about the workers.

use buildbtw_model::WorkerStatus;
use buildbtw_model::api::WorkerSummary;

/// The order of the states, and how they are named.
const STATES: [(WorkerStatus, &str); 6] = [
    (WorkerStatus::Building, "building"),
    (WorkerStatus::Idle, "idle"),
    (WorkerStatus::Draining, "draining"),
    (WorkerStatus::Drained, "drained"),
    (WorkerStatus::LostContact, "lost"),
    (WorkerStatus::Other, "in another state"),
];

/// Returns how many workers are in which state.
pub(super) fn line(workers: &[WorkerSummary]) -> String {
    if workers.is_empty() {
        return "workers: none (`buildbtw-worker run` starts one)".to_owned();
    }
    let counts = STATES.iter().filter_map(|(status, name)| {
        let found = workers.iter().filter(|worker| worker.status == *status);
        let count = found.count();
        (count > 0).then(|| format!("{count} {name}"))
    });
    format!("workers: {}", counts.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn counts_workers_by_state() {
        let worker = |status: &str| -> WorkerSummary {
            serde_json::from_value(json!({
                "name": "w1", "status": status, "architectures": ["x86_64"], "jobs": 1, "builds": [],
                "last_contact_at": "2026-11-29T10:00:00Z",
            }))
            .unwrap()
        };
        let states = ["idle", "lost-contact", "building", "building", "drained"];
        let workers: Vec<_> = states.into_iter().map(worker).collect();
        let expected = "workers: 2 building, 1 idle, 1 drained, 1 lost";
        assert_eq!(line(&workers), expected);
        assert!(line(&[]).starts_with("workers: none"));
    }
}
