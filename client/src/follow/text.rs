//! Lines about a rebuild.

use buildbtw_model::api::{BuildCounts, IterationDetail};

use super::tracker::{Change, label};
use crate::output::{clean, style, time};

/// Returns the first line about an iteration.
pub(super) fn headline(detail: &IterationDetail) -> String {
    let summary = &detail.summary;
    let builds = match summary.counts.total() {
        1 => "1 build".to_owned(),
        total => format!("{total} builds"),
    };
    let reason = clean(&summary.reason);
    let text = format!("iteration {}: {builds} ({reason})", summary.number);
    style::paint(style::HEADER, text)
}

/// Returns the line about a change.
pub(super) fn line(change: &Change) -> String {
    let status = style::paint(style::build(change.status), label(change.status));
    format!(
        "{} {status} {}",
        time::clock(change.at),
        clean(&change.text)
    )
}

/// Formats counts: `3 building, 1 failed, 5 blocked`.
pub(super) fn counts_text(counts: &BuildCounts) -> String {
    let parts = [
        (counts.building, "building"),
        (counts.failed, "failed"),
        (counts.cancelled, "cancelled"),
        (counts.ready, "ready"),
        (counts.blocked, "blocked"),
    ];
    let parts: Vec<String> = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, state)| format!("{count} {state}"))
        .collect();
    parts.join(", ")
}
