//! `buildbtw status`: what runs, what waits for a decision of people, and what the server cannot do.

use buildbtw_model::IterationStatus;
use buildbtw_model::api::{NamespaceSummary, SourcesOverview, TaskOutage};
use serde::Serialize;

use super::rows::more;
use crate::cli::StatusArgs;
use crate::context::Context;
use crate::error::Result;
use crate::output::{Cell, Output, Table, clean, style, time};

/// The lines that are printed besides the namespaces.
const OTHER_LINES: usize = 8;
/// How many running namespaces are asked why they make no progress.
const ASKED: usize = 10;

/// The state of everything, as JSON.
#[derive(Serialize)]
struct Status {
    running: Vec<NamespaceSummary>,
    attention: Vec<NamespaceSummary>,
    /// Why running namespaces make no progress.
    stalled: Vec<Stalled>,
    sources: SourcesOverview,
    outages: Vec<TaskOutage>,
}

/// Why a namespace makes no progress.
#[derive(Serialize)]
struct Stalled {
    namespace: String,
    architecture: String,
    reason: String,
}

pub(super) async fn run(context: &Context, args: &StatusArgs) -> Result<u8> {
    let status = read(context).await?;
    let output = &context.output;
    if output.is_json() {
        output.json(&status)?;
        return Ok(0);
    }
    let rows = args
        .limit
        .rows(output.screen.height.saturating_sub(OTHER_LINES) / 2);
    if !status.running.is_empty() {
        running(output, &status.running, rows)?;
        output.line("")?;
    }
    if !status.attention.is_empty() {
        attention(output, &status.attention, rows)?;
        output.line("")?;
    }
    for stalled in &status.stalled {
        let (name, reason) = (&stalled.namespace, clean(&stalled.reason));
        output.line(format_args!("stalled: {name}: {reason}"))?;
    }
    for outage in &status.outages {
        let (title, message) = (clean(&outage.title), clean(&outage.message));
        output.line(format_args!("outage: {title}: {message}"))?;
    }
    if status.sources.broken > 0 {
        let broken = status.sources.broken;
        output.line(format_args!(
            "sources: {broken} broken (`buildbtw sources --broken`)"
        ))?;
    }
    let (running, attention) = (status.running.len(), status.attention.len());
    output.line(format_args!("{running} running, {attention} to look after"))?;
    Ok(0)
}

async fn read(context: &Context) -> Result<Status> {
    let client = &context.client;
    let (namespaces, sources) = tokio::join!(client.namespaces(), client.sources_overview());
    let (namespaces, sources) = (context.check(namespaces)?, context.check(sources)?);
    let in_state = |wanted: &[IterationStatus]| -> Vec<NamespaceSummary> {
        let found = namespaces.iter();
        let found = found.filter(|namespace| wanted.contains(&namespace.iteration.status));
        found.cloned().collect()
    };
    let running = in_state(&[IterationStatus::Running]);
    let mut stalled = Vec::new();
    for namespace in running.iter().take(ASKED) {
        let overview = client.iteration_overview(&namespace.name, None).await;
        let overview = context.check(overview)?;
        stalled.extend(overview.architectures.into_iter().filter_map(|summary| {
            Some(Stalled {
                namespace: namespace.name.to_string(),
                architecture: summary.architecture.to_string(),
                reason: summary.stalled?,
            })
        }));
    }
    // Only clients may read outages, and an older server does not have them.
    let outages = match context.had_token {
        true => client.outages().await.unwrap_or_default(),
        false => Vec::new(),
    };
    Ok(Status {
        attention: in_state(&[IterationStatus::Failed, IterationStatus::Cancelled]),
        running,
        stalled,
        sources,
        outages,
    })
}

fn running(output: &Output, namespaces: &[NamespaceSummary], rows: usize) -> Result<()> {
    let mut table = Table::new(&["RUNNING", "BUILT", "BUILDING", "FAILED", "ETA"]);
    for namespace in namespaces.iter().take(rows) {
        let iteration = &namespace.iteration;
        let counts = &iteration.counts;
        table.row([
            Cell::new(&namespace.name),
            Cell::new(format_args!("{}/{}", counts.done, counts.total())),
            Cell::new(counts.building),
            Cell::new(counts.failed),
            Cell::new(iteration.eta.map(time::date).unwrap_or_default()),
        ]);
    }
    print(output, &table, namespaces.len().saturating_sub(rows))
}

fn attention(output: &Output, namespaces: &[NamespaceSummary], rows: usize) -> Result<()> {
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
    print(output, &table, namespaces.len().saturating_sub(rows))
}

fn print(output: &Output, table: &Table, missing: usize) -> Result<()> {
    table.print(output)?;
    match more(missing) {
        Some(more) => output.line(more),
        None => Ok(()),
    }
}
