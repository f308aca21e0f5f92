//! The page of the workers.

use askama::Template;
use askama::filters::urlencode;
use buildbtw_model::api::{Page, WorkerSummary};
use jiff::Timestamp;

use super::layout::{Layout, Section};
use super::links::Links;
use super::size::size;
use super::status::Badge;
use super::time::TimeAgo;

/// The page of the workers.
#[derive(Template)]
#[template(path = "workers.html")]
pub(crate) struct WorkersPage {
    layout: Layout,
    first: bool,
    rows: Vec<Row>,
    next: Option<String>,
}

struct Row {
    badge: Badge,
    architectures: String,
    tags: String,
    load: String,
    /// What one build may use.
    memory: String,
    disk: String,
    contact: TimeAgo,
    worker: WorkerSummary,
}

impl WorkersPage {
    pub(crate) fn new(
        workers: Page<WorkerSummary>,
        first: bool,
        now: Timestamp,
        links: &Links,
    ) -> askama::Result<Self> {
        let next = match workers.next {
            Some(cursor) => Some(format!("{}?cursor={}", links.workers(), urlencode(cursor)?)),
            None => None,
        };
        let rows = workers.items.into_iter().map(|worker| row(worker, now));
        Ok(Self {
            layout: Layout::new(links, Section::Workers, "Workers"),
            first,
            rows: rows.collect(),
            next,
        })
    }
}

fn row(worker: WorkerSummary, now: Timestamp) -> Row {
    let machine = worker.machine.as_ref();
    let tags = machine
        .map(|machine| machine.tags.as_slice())
        .unwrap_or_default();
    let memory = machine.map(|machine| size(u64::from(machine.build_memory_mib) << 20));
    let load = worker.load.as_ref();
    Row {
        badge: Badge::from(worker.status),
        architectures: joined(&worker.architectures),
        tags: joined(tags),
        load: load
            .map(|load| format!("{:.1}", load.load))
            .unwrap_or_default(),
        memory: memory.unwrap_or_default(),
        disk: load
            .map(|load| size(load.disk_free_bytes))
            .unwrap_or_default(),
        contact: TimeAgo::new(worker.last_contact_at, now),
        worker,
    }
}

fn joined<T: ToString>(items: &[T]) -> String {
    let texts: Vec<String> = items.iter().map(ToString::to_string).collect();
    texts.join(", ")
}
