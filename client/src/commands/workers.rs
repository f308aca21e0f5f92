//! `buildbtw workers` and `buildbtw worker`: lists, drains and resumes workers.

use buildbtw_model::api::{DrainWorker, WorkerSummary};

use crate::cli::WorkerCommand;
use crate::context::Context;
use crate::error::Result;
use crate::output::{Cell, Table, clean, time};

pub(super) async fn list(context: &Context) -> Result<u8> {
    let workers = context.check(context.client.workers().await)?;
    let output = &context.output;
    if output.is_json() {
        output.json(&workers)?;
        return Ok(0);
    }
    if workers.is_empty() {
        output.note("no workers yet");
        output.hint("`buildbtw-worker run` starts one");
        return Ok(0);
    }
    let mut table = Table::new(&[
        "WORKER",
        "STATE",
        "BUILDS",
        "ARCH",
        "TAGS",
        "CORES",
        "LOAD",
        "MEMORY",
        "DISK FREE",
        "VERSION",
        "LAST CONTACT",
    ]);
    for worker in &workers {
        table.row(row(worker));
    }
    table.print(output)?;
    Ok(0)
}

fn row(worker: &WorkerSummary) -> [Cell; 11] {
    let (machine, load) = (worker.machine.as_ref(), worker.load.as_ref());
    let tags = machine.map(|machine| joined(&machine.tags));
    let memory = machine.map(|machine| gib(u64::from(machine.build_memory_mib) << 20));
    let version = machine.map(|machine| clean(&machine.version).to_string());
    [
        Cell::new(&worker.name),
        Cell::new(worker.status),
        Cell::new(format_args!("{}/{}", worker.builds.len(), worker.jobs)),
        Cell::new(joined(&worker.architectures)),
        Cell::new(tags.unwrap_or_default()),
        Cell::new(machine.map_or(String::new(), |machine| machine.cores.to_string())),
        Cell::new(load.map_or(String::new(), |load| format!("{:.1}", load.load))),
        Cell::new(memory.unwrap_or_default()),
        Cell::new(load.map_or(String::new(), |load| gib(load.disk_free_bytes))),
        Cell::new(version.unwrap_or_default()),
        Cell::new(time::date(worker.last_contact_at)),
    ]
}

fn joined<T: ToString>(items: &[T]) -> String {
    let texts: Vec<String> = items.iter().map(ToString::to_string).collect();
    texts.join(",")
}

/// Returns a number of bytes in GiB, with one digit after the point.
fn gib(bytes: u64) -> String {
    let tenths = bytes.saturating_mul(10) >> 30;
    format!("{}.{} GiB", tenths / 10, tenths % 10)
}

pub(super) async fn run(context: &Context, command: WorkerCommand) -> Result<u8> {
    let client = &context.client;
    let output = &context.output;
    let (worker, is_drained) = match command {
        WorkerCommand::Drain { name, reason } => {
            let request = DrainWorker { reason };
            (client.drain_worker(&name, &request).await, true)
        }
        WorkerCommand::Resume { name } => (client.resume_worker(&name).await, false),
    };
    let worker = context.check(worker)?;
    if output.is_json() {
        output.json(&worker)?;
        return Ok(0);
    }
    let name = &worker.name;
    if !is_drained {
        output.line(format_args!("resumed {name}; it gets builds again"))?;
        return Ok(0);
    }
    let left = match worker.builds.len() {
        0 => "it builds nothing".to_owned(),
        1 => "it finishes 1 build".to_owned(),
        count => format!("it finishes {count} builds"),
    };
    output.line(format_args!("drained {name}; {left} and gets no new ones"))?;
    output.hint(format_args!(
        "`buildbtw worker resume {name}` lets it have builds again"
    ));
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_bytes_in_gib() {
        assert_eq!(gib(0), "0.0 GiB");
        assert_eq!(gib(3 << 29), "1.5 GiB");
        assert_eq!(gib(64 << 30), "64.0 GiB");
    }
}
