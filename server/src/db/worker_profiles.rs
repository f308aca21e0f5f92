//! Table `worker_profile`: what workers say about themselves.

use buildbtw_model::WorkerName;
use buildbtw_model::api::{WorkerLoad, WorkerMachine};
use sqlx::SqliteExecutor;
use sqlx::types::Json;

use super::WriteTransaction;

/// Records what a worker says with a claim.
pub async fn record(
    tx: &mut WriteTransaction,
    name: &WorkerName,
    machine: &WorkerMachine,
    load: Option<&WorkerLoad>,
) -> sqlx::Result<()> {
    let (at, machine) = (tx.now(), Json(machine));
    let (load, free, total) = columns(load);
    sqlx::query!(
        "insert into worker_profile (name, machine, load, disk_free, disk_total, seen_at)
         values (?, ?, ?, ?, ?, ?)
         on conflict (name) do update set machine = excluded.machine, load = excluded.load,
             disk_free = excluded.disk_free, disk_total = excluded.disk_total,
             seen_at = excluded.seen_at",
        name,
        machine,
        load,
        free,
        total,
        at,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Returns what a worker says of its machine.
pub async fn machine(
    executor: impl SqliteExecutor<'_>,
    name: &WorkerName,
) -> sqlx::Result<Option<WorkerMachine>> {
    let row = sqlx::query!(
        r#"select machine as "machine: Json<WorkerMachine>" from worker_profile where name = ?"#,
        name
    )
    .fetch_optional(executor)
    .await?;
    Ok(row.map(|row| row.machine.0))
}

/// Records how busy a worker is, as it says with a heartbeat.
pub async fn record_load(
    tx: &mut WriteTransaction,
    name: &WorkerName,
    load: &WorkerLoad,
) -> sqlx::Result<()> {
    let (load, free, total) = columns(Some(load));
    sqlx::query!(
        "update worker_profile set load = ?, disk_free = ?, disk_total = ? where name = ?",
        load,
        free,
        total,
        name,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Returns the columns of a load. SQLite has no numbers above those of `i64`, and stores no infinite ones as such.
fn columns(load: Option<&WorkerLoad>) -> (Option<f64>, Option<i64>, Option<i64>) {
    let bytes = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    (
        load.map(|load| load.load).filter(|load| load.is_finite()),
        load.map(|load| bytes(load.disk_free_bytes)),
        load.map(|load| bytes(load.disk_total_bytes)),
    )
}
