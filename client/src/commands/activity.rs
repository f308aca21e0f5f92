//! `buildbtw activity`: lists what happened lately, and who did it.

use buildbtw_model::ActivityKind;
use buildbtw_model::api::Activity;
use buildbtw_model::client::ActivityQuery;

use super::list::own_name;
use crate::cli::ActivityArgs;
use crate::context::Context;
use crate::error::Result;
use crate::output::{Cell, Table, clean, time};

/// The lines besides the rows: the header and a hint.
const OTHER_LINES: usize = 3;

pub(super) async fn run(context: &Context, args: &ActivityArgs) -> Result<u8> {
    let by = match &args.by {
        Some(by) => Some(by.clone()),
        None => own_name(context, args.mine).await?,
    };
    let query = ActivityQuery {
        by,
        namespace: args.namespace.clone(),
    };
    let output = &context.output;
    if output.is_json() {
        let most = args.limit.rows_of_json();
        output.json(&context.check(context.client.activity(&query, most).await)?)?;
        return Ok(0);
    }
    let rows = args
        .limit
        .rows(output.screen.height.saturating_sub(OTHER_LINES));
    // One more, to know whether there are more.
    let most = u32::try_from(rows.saturating_add(1)).ok();
    let mut items = context.check(context.client.activity(&query, most).await)?;
    if items.is_empty() {
        match query == ActivityQuery::default() {
            true => output.note("nothing has happened yet"),
            false => output.note("nothing that happened matches these options"),
        }
        return Ok(0);
    }
    let has_more = items.len() > rows;
    items.truncate(rows);
    let mut table = Table::new(&["TIME", "BY", "WHAT", "SUBJECT", "DETAILS"]);
    for activity in &items {
        table.row([
            Cell::new(time::date(activity.at)),
            Cell::new(clean(activity.actor.as_deref().unwrap_or("server"))),
            Cell::new(label(activity.kind)),
            Cell::new(subject(activity)),
            Cell::new(clean(activity.message.as_deref().unwrap_or_default())),
        ]);
    }
    table.print(output)?;
    if has_more {
        output.hint("there is more; `--limit N` and `--all` list it");
    }
    Ok(0)
}

fn label(kind: ActivityKind) -> &'static str {
    match kind {
        ActivityKind::Created => "created",
        ActivityKind::Edited => "edited",
        ActivityKind::Prioritized => "prioritized",
        ActivityKind::Cancelled => "cancelled",
        ActivityKind::Resumed | ActivityKind::WorkerResumed => "resumed",
        ActivityKind::Deleted => "deleted",
        ActivityKind::Retried => "retried",
        ActivityKind::Planned => "planned",
        ActivityKind::Done => "done",
        ActivityKind::Failed => "failed",
        ActivityKind::WorkerDrained => "drained",
        ActivityKind::Other => "other",
    }
}

fn subject(activity: &Activity) -> String {
    match (&activity.namespace, &activity.worker, activity.iteration) {
        (Some(namespace), _, Some(iteration)) => format!("{namespace} {iteration}"),
        (Some(namespace), _, None) => namespace.to_string(),
        (None, Some(worker), _) => format!("worker {worker}"),
        (None, None, _) => String::new(),
    }
}
