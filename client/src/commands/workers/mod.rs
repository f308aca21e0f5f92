//! `buildbtw workers` and `buildbtw worker`: lists, shows, drains and resumes workers.

mod detail;
mod table;
mod text;

use buildbtw_model::api::{DrainWorker, WorkerSummary};
use buildbtw_model::{WorkerName, closest};
use jiff::Timestamp;

use super::rows::{cut, more};
use crate::cli::{WorkerCommand, WorkersArgs};
use crate::context::Context;
use crate::error::{Error, Result};

/// The lines of the list besides its rows and the reasons: the header, how many are missing, and the prompt.
const OTHER_LINES: usize = 3;
/// The most reasons of drained workers that are printed unasked.
const SHOWN_REASONS: usize = 3;

pub(super) async fn list(context: &Context, args: &WorkersArgs) -> Result<u8> {
    let mut workers = context.check(context.client.workers().await)?;
    if let Some(name) = &args.name {
        let found = workers.iter().position(|worker| worker.name == *name);
        workers = match found {
            Some(found) => vec![workers.swap_remove(found)],
            None => return Err(unknown(name, &workers)),
        };
    }
    let output = &context.output;
    if output.is_json() {
        let most = args.limit.rows_of_json();
        workers.truncate(most.map_or(usize::MAX, buildbtw_model::saturating));
        output.json(&workers)?;
        return Ok(0);
    }
    if workers.is_empty() {
        output.note("no workers yet");
        output.hint("`buildbtw-worker run` starts one");
        return Ok(0);
    }
    let now = Timestamp::now();
    if args.name.is_some() {
        let lines = workers.iter().flat_map(|worker| detail::lines(worker, now));
        for line in lines {
            output.line(output.screen.fit(&line))?;
        }
        return Ok(0);
    }
    let most = match args.limit.all {
        true => usize::MAX,
        false => SHOWN_REASONS,
    };
    let reasons = cut(table::reasons(&workers), most, "drained");
    let room = output.screen.height.saturating_sub(OTHER_LINES);
    let rows = args.limit.rows(room.saturating_sub(reasons.len()).max(1));
    table::table(&workers, rows, now).print(output)?;
    if let Some(more) = more(workers.len().saturating_sub(rows)) {
        output.line(more)?;
    }
    for reason in reasons {
        output.line(output.screen.fit(&reason))?;
    }
    Ok(0)
}

fn unknown(name: &WorkerName, workers: &[WorkerSummary]) -> Error {
    let lists = "`buildbtw workers` lists all workers";
    let known = workers.iter().map(|worker| worker.name.as_str());
    let hint = match closest(name.as_str(), known) {
        Some(meant) => format!("did you mean `{meant}`? {lists}"),
        None => lists.to_owned(),
    };
    Error::with_hint(format!("worker `{name}` not found"), hint)
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
