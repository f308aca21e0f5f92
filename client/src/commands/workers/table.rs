//! The list of workers. It fits 80 columns; `buildbtw workers NAME` shows the rest.

use buildbtw_model::api::WorkerSummary;
use jiff::Timestamp;

use super::text::{drained, gib, gib_of_mib, joined, status};
use crate::output::{Cell, Table, time};

/// Returns the table of the first workers.
pub(super) fn table(workers: &[WorkerSummary], rows: usize, now: Timestamp) -> Table {
    let mut header = vec![
        "WORKER",
        "STATE",
        "BUILDS",
        "LOAD",
        "MEMORY",
        "DISK FREE",
        "SEEN",
    ];
    let with_tags = workers.iter().any(|worker| !tags(worker).is_empty());
    header.extend(with_tags.then_some("TAGS"));
    let mut table = Table::new(&header);
    for worker in workers.iter().take(rows) {
        let (machine, load) = (worker.machine.as_ref(), worker.load.as_ref());
        let memory = machine.map(|machine| gib_of_mib(machine.build_memory_mib));
        let disk = load.map(|load| gib(load.disk_free_bytes));
        let load = load.map(|load| format!("{:.1}", load.load));
        let mut row = vec![
            Cell::new(&worker.name),
            Cell::new(status(worker.status)),
            Cell::new(format_args!("{}/{}", worker.builds.len(), worker.jobs)),
            Cell::new(load.unwrap_or_default()),
            Cell::new(memory.unwrap_or_default()),
            Cell::new(disk.unwrap_or_default()),
            Cell::new(time::ago(now, worker.last_contact_at)),
        ];
        row.extend(with_tags.then(|| Cell::new(tags(worker))));
        table.row(row);
    }
    table
}

fn tags(worker: &WorkerSummary) -> String {
    let machine = worker.machine.as_ref();
    let tags = machine.map(|machine| joined(&machine.tags));
    tags.unwrap_or_default()
}

/// Returns a line for each drained worker, with who drained it and why.
pub(super) fn reasons(workers: &[WorkerSummary]) -> Vec<String> {
    let reasons = workers.iter().filter_map(|worker| {
        let drained = drained(worker)?;
        Some(format!("{} drained {drained}", worker.name))
    });
    reasons.collect()
}
