//! `buildbtw status`: what runs, what waits for a decision of people, and what the server cannot do.

mod needs;
mod state;
mod tables;
mod workers;

use buildbtw_model::IterationStatus;
use buildbtw_model::api::NamespaceSummary;

use super::rows::{cut, more};
use crate::cli::StatusArgs;
use crate::context::Context;
use crate::error::Result;
use crate::output::{Output, Table, clean};
use state::State;

/// The lines besides the rows of the tables and the notes: two headers, what is missing, two empty ones, the result, and
/// one for the prompt.
const OTHER_LINES: usize = 8;
/// The most outages and stalled namespaces that are printed unasked.
const SHOWN_NOTES: usize = 3;

pub(super) async fn run(context: &Context, args: &StatusArgs) -> Result<u8> {
    let state = state::read(context).await?;
    let output = &context.output;
    if output.is_json() {
        output.json(&state)?;
        return Ok(0);
    }
    let is_own = state.me.is_some() && !args.everyone;
    let most = match args.limit.all {
        true => usize::MAX,
        false => SHOWN_NOTES,
    };
    let notes = notes(&state, is_own, most);
    let room = output
        .screen
        .height
        .saturating_sub(OTHER_LINES + notes.len());
    let rows = args.limit.rows((room / 2).max(1));
    if is_own {
        let mine = tables::running("MINE", &state.mine, rows);
        print(output, &mine, state.mine.len(), rows)?;
        let needs = tables::needs(&state.needs_me, rows);
        print(output, &needs, state.needs_me.len(), rows)?;
    } else {
        let running = tables::running("RUNNING", &state.running, rows);
        print(output, &running, state.running.len(), rows)?;
        let attention = tables::attention(&state.attention, rows);
        print(output, &attention, state.attention.len(), rows)?;
    }
    for note in notes {
        output.line(output.screen.fit(&note))?;
    }
    output.line(result(&state, is_own))?;
    Ok(0)
}

/// Prints a table and an empty line, unless it has no rows.
fn print(output: &Output, table: &Table, total: usize, rows: usize) -> Result<()> {
    if total == 0 {
        return Ok(());
    }
    table.print(output)?;
    if let Some(more) = more(total.saturating_sub(rows)) {
        output.line(more)?;
    }
    output.line("")
}

/// Returns the lines below the tables.
fn notes(state: &State, is_own: bool, most: usize) -> Vec<String> {
    let mut lines = Vec::new();
    if is_own {
        lines.extend(others(state));
    } else {
        let stalled = state.stalled.iter().map(|stalled| {
            let (name, reason) = (&stalled.namespace, clean(&stalled.reason));
            format!("stalled: {name}: {reason}")
        });
        lines.extend(cut(stalled.collect(), most, "stalled"));
    }
    let outages = state.outages.iter().map(|outage| {
        let (title, message) = (clean(&outage.title), clean(&outage.message));
        format!("outage: {title}: {message}")
    });
    lines.extend(cut(outages.collect(), most, "outages"));
    if state.sources.broken > 0 {
        let broken = state.sources.broken;
        lines.push(format!(
            "sources: {broken} broken (`buildbtw sources --broken`)"
        ));
    }
    lines.push(workers::line(&state.workers));
    lines
}

/// Returns how many namespaces other people have in which state.
fn others(state: &State) -> Option<String> {
    let count = |namespaces: &[NamespaceSummary], status: IterationStatus| {
        let others = namespaces.iter().filter(|one| !state.is_mine(one));
        others.filter(|one| one.iteration.status == status).count()
    };
    let counts = [
        (count(&state.running, IterationStatus::Running), "running"),
        (count(&state.attention, IterationStatus::Failed), "failed"),
        (
            count(&state.attention, IterationStatus::Cancelled),
            "cancelled",
        ),
    ];
    let parts = counts.iter().filter(|(count, _)| *count > 0);
    let parts: Vec<String> = parts
        .map(|(count, name)| format!("{count} {name}"))
        .collect();
    let listed = "(`--everyone` lists them)";
    (!parts.is_empty()).then(|| format!("others: {} {listed}", parts.join(", ")))
}

/// Returns the last line.
fn result(state: &State, is_own: bool) -> String {
    let (whose, running, attention) = match is_own {
        true => ("mine: ", state.mine.len(), state.needs_me.len()),
        false => ("", state.running.len(), state.attention.len()),
    };
    let need = if attention == 1 { "needs" } else { "need" };
    format!("{whose}{running} running, {attention} {need} attention")
}
