//! The workers, with what they build and how busy they are.

use std::collections::HashMap;
use std::time::Duration;

use buildbtw_model::api::{Page, WorkerBuild, WorkerLoad, WorkerSummary};
use buildbtw_model::{WorkerName, WorkerStatus};

use crate::db::Database;
use crate::db::workers::{self, RunningRow, WORKER_TIMEOUT, WorkerRow};
use crate::error::Error;
use crate::time::Millis;

use super::paging::{List, Paging};

/// How long a worker without a request is listed.
const LISTED: Duration = Duration::from_secs(30 * 86_400);

/// Returns a page of the workers, by name: drained ones, and those with a request within the last 30 days.
///
/// # Errors
/// When the cursor or the limit is invalid.
pub async fn list_workers(
    database: &Database,
    paging: &Paging,
) -> Result<Page<WorkerSummary>, Error> {
    let since = database.clock().now() - LISTED;
    seen_since(database, since, paging).await
}

async fn seen_since(
    database: &Database,
    since: Millis,
    paging: &Paging,
) -> Result<Page<WorkerSummary>, Error> {
    let list = List::Workers.whole();
    let after = paging.key(&list)?.unwrap_or_default();
    let (reader, now) = (database.read(), database.clock().now());
    let mut rows = workers::page(reader, &after, since, paging.rows()?).await?;
    let next = paging.cut(&list, &mut rows, |row| row.name.to_string())?;
    let mut running: HashMap<WorkerName, Vec<WorkerBuild>> = HashMap::new();
    for row in workers::running(reader).await? {
        running
            .entry(row.worker.clone())
            .or_default()
            .push(build(row));
    }
    let items = rows.into_iter().map(|row| {
        let builds = running.remove(&row.name).unwrap_or_default();
        summary(row, builds, now)
    });
    Ok(Page {
        items: items.collect(),
        next,
    })
}

/// Returns one worker.
///
/// # Errors
/// When there is none with this name.
pub async fn show_worker(database: &Database, name: &WorkerName) -> Result<WorkerSummary, Error> {
    let mut paging = Paging::default();
    loop {
        let page = seen_since(database, Millis(0), &paging).await?;
        if let Some(found) = page.items.into_iter().find(|worker| worker.name == *name) {
            return Ok(found);
        }
        let Some(next) = page.next else {
            break;
        };
        paging = Paging::new(Some(next), None);
    }
    Err(unknown_worker(name))
}

/// Creates the refusal of a request about a worker that has never claimed a build.
pub fn unknown_worker(name: &WorkerName) -> Error {
    Error::not_found(format!("worker `{name}`")).hint("`buildbtw workers` lists all workers")
}

fn build(row: RunningRow) -> WorkerBuild {
    WorkerBuild {
        id: row.build,
        namespace: row.namespace,
        pkgbase: row.pkgbase,
        architecture: row.architecture,
        started_at: row.started_at.map(Into::into),
    }
}

fn summary(row: WorkerRow, builds: Vec<WorkerBuild>, now: Millis) -> WorkerSummary {
    let status = status(
        now.since(row.last_seen_at) >= WORKER_TIMEOUT,
        row.drained_at.is_some(),
        !builds.is_empty(),
    );
    let bytes = |bytes: i64| u64::try_from(bytes).unwrap_or(0);
    let load = match (row.load, row.disk_free, row.disk_total) {
        (Some(load), Some(free), Some(total)) => Some(WorkerLoad {
            load,
            disk_free_bytes: bytes(free),
            disk_total_bytes: bytes(total),
        }),
        _ => None,
    };
    WorkerSummary {
        name: row.name,
        status,
        architectures: row.architectures.0,
        jobs: row.jobs,
        builds,
        machine: row.machine.map(|machine| machine.0),
        load,
        last_contact_at: row.last_seen_at.into(),
        drained_at: row.drained_at.map(Into::into),
        drained_by: row.drained_by,
        drain_reason: row.reason,
    }
}

fn status(is_silent: bool, is_drained: bool, is_building: bool) -> WorkerStatus {
    match (is_silent, is_drained, is_building) {
        (true, _, _) => WorkerStatus::LostContact,
        (false, true, true) => WorkerStatus::Draining,
        (false, true, false) => WorkerStatus::Drained,
        (false, false, true) => WorkerStatus::Building,
        (false, false, false) => WorkerStatus::Idle,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_what_a_worker_does() {
        assert_eq!(status(false, false, false), WorkerStatus::Idle);
        assert_eq!(status(false, false, true), WorkerStatus::Building);
        assert_eq!(status(false, true, true), WorkerStatus::Draining);
        assert_eq!(status(false, true, false), WorkerStatus::Drained);
        assert_eq!(status(true, true, true), WorkerStatus::LostContact);
    }
}
