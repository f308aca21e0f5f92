//! Lines about a rebuild.

use buildbtw_model::NamespaceName;
use buildbtw_model::api::{BuildCounts, IterationDetail};

use super::tracker::{Change, label};
use crate::output::{clean, style, time};

/// The most notes that are printed.
const SHOWN_NOTES: usize = 3;

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

/// Returns the first notes of an iteration.
pub(super) fn notes(namespace: &NamespaceName, detail: &IterationDetail) -> Vec<String> {
    let notes = detail.notes.iter().take(SHOWN_NOTES);
    let mut lines: Vec<String> = notes
        .map(|note| format!("note: {}", clean(&note.text)))
        .collect();
    let missing = detail.notes.len().saturating_sub(SHOWN_NOTES);
    if missing > 0 {
        let lists = format!("`buildbtw show {namespace} --all` prints them");
        lines.push(format!("and {missing} more notes ({lists})"));
    }
    lines
}

/// Returns the line above some of the builds that failed before following began.
pub(super) fn failed_before(failed: usize, shown: usize) -> String {
    match shown {
        0 => format!("{failed} builds failed before"),
        shown => format!("{failed} builds failed before; the {shown} that block most:"),
    }
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
