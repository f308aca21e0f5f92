//! Words about workers.

use buildbtw_model::WorkerStatus;
use buildbtw_model::api::WorkerSummary;

use crate::output::clean;

/// Returns the word for a state, which is short in a table.
pub(super) fn status(status: WorkerStatus) -> &'static str {
    match status {
        WorkerStatus::LostContact => "lost",
        other => other.as_str(),
    }
}

pub(super) fn joined<T: ToString>(items: &[T]) -> String {
    let texts: Vec<String> = items.iter().map(ToString::to_string).collect();
    texts.join(",")
}

/// Returns a number of bytes in GiB, with one digit after the point.
pub(super) fn gib(bytes: u64) -> String {
    let tenths = bytes.saturating_mul(10) >> 30;
    format!("{}.{} GiB", tenths / 10, tenths % 10)
}

/// Returns a number of MiB in GiB.
pub(super) fn gib_of_mib(mib: u32) -> String {
    gib(u64::from(mib) << 20)
}

/// Returns who drained a worker and why, if that is known.
pub(super) fn drained(worker: &WorkerSummary) -> Option<String> {
    let by = worker.drained_by.as_deref();
    let by = by.map(|by| format!("by {}", clean(by)));
    let reason = worker.drain_reason.as_deref().map(clean);
    match (by, reason) {
        (Some(by), Some(reason)) => Some(format!("{by}: {reason}")),
        (by, reason) => by.or(reason),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_bytes_in_gib() {
        assert_eq!(gib(0), "0.0 GiB");
        assert_eq!(gib(3 << 29), "1.5 GiB");
        assert_eq!(gib_of_mib(65_536), "64.0 GiB");
    }
}
