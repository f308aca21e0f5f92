//! The tables of `status`.

use buildbtw_model::IterationStatus;
use buildbtw_model::api::NamespaceSummary;
use jiff::Timestamp;

use super::needs::{Need, NeedKind};
use crate::output::{Cell, Eta, Table, clean, style};

/// Returns the table of running namespaces.
pub(super) fn running(title: &str, namespaces: &[NamespaceSummary], rows: usize) -> Table {
    let now = Timestamp::now();
    let mut table = Table::new(&[title, "BUILT", "BUILDING", "FAILED", "ETA"]);
    for namespace in namespaces.iter().take(rows) {
        let iteration = &namespace.iteration;
        let counts = &iteration.counts;
        table.row([
            Cell::new(&namespace.name),
            Cell::new(format_args!("{}/{}", counts.done, counts.total())),
            Cell::new(counts.building),
            Cell::new(counts.failed),
            Cell::new(Eta::of(iteration).time(now).unwrap_or_default()),
        ]);
    }
    table
}

/// Returns the table of namespaces that ended without success.
pub(super) fn attention(namespaces: &[NamespaceSummary], rows: usize) -> Table {
    let mut table = Table::new(&["ATTENTION", "STATE", "FAILED", "BLOCKED", "NEXT"]);
    for namespace in namespaces.iter().take(rows) {
        let (name, iteration) = (&namespace.name, &namespace.iteration);
        let next = match iteration.status {
            IterationStatus::Cancelled => format!("buildbtw resume {name}"),
            _ => format!("buildbtw show {name} --failed"),
        };
        table.row([
            Cell::new(name),
            Cell::styled(style::iteration(iteration.status), iteration.status),
            Cell::new(iteration.counts.failed),
            Cell::new(iteration.counts.blocked),
            Cell::new(next),
        ]);
    }
    table
}

/// Returns the table of what waits for the person. The reason may be long, so it is last.
pub(super) fn needs(needs: &[Need], rows: usize) -> Table {
    let mut table = Table::new(&["NEEDS ME", "STATE", "NEXT", "REASON"]);
    for need in needs.iter().take(rows) {
        let color = match need.kind {
            NeedKind::Failed => style::iteration(IterationStatus::Failed),
            NeedKind::Cancelled => style::iteration(IterationStatus::Cancelled),
            NeedKind::Stalled | NeedKind::NotPlanned => style::PLAIN,
        };
        table.row([
            Cell::new(&need.namespace),
            Cell::styled(color, need.kind.label()),
            Cell::new(&need.next),
            Cell::new(clean(&need.reason)),
        ]);
    }
    table
}
