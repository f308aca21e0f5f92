//! `buildbtw activity`: lists what happened lately, and who did it.

use buildbtw_model::ActivityKind;
use buildbtw_model::api::Activity;

use super::list::own_name;
use crate::cli::ActivityArgs;
use crate::context::Context;
use crate::error::Result;
use crate::output::{Cell, Table, clean, time};

pub(super) async fn run(context: &Context, args: &ActivityArgs) -> Result<u8> {
    let by = match &args.by {
        Some(by) => Some(by.clone()),
        None => own_name(context, args.mine).await?,
    };
    let client = &context.client;
    let page = client
        .activity(by.as_deref(), args.namespace.as_ref(), args.limit)
        .await;
    let page = context.check(page)?;
    let output = context.output;
    if output.json {
        output.json(&page)?;
        return Ok(0);
    }
    if page.items.is_empty() {
        output.note("nothing has happened yet");
        return Ok(0);
    }
    let mut table = Table::new(&["TIME", "BY", "WHAT", "SUBJECT", "DETAILS"]);
    for activity in &page.items {
        table.row([
            Cell::new(time::date(activity.at)),
            Cell::new(clean(activity.actor.as_deref().unwrap_or("server"))),
            Cell::new(label(activity.kind)),
            Cell::new(subject(activity)),
            Cell::new(clean(activity.message.as_deref().unwrap_or_default())),
        ]);
    }
    table.print(output)?;
    if page.next.is_some() {
        output.hint(format_args!(
            "there is more; `buildbtw activity --limit {}` lists it",
            (args.limit * 2).min(1000)
        ));
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
