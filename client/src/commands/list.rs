//! `buildbtw list`: lists the namespaces, the newest first.

use buildbtw_model::api::{NamespaceSummary, Page};

use crate::context::Context;
use crate::error::Result;
use crate::output::{Cell, Table, clean, style, time};

pub(super) async fn run(context: &Context) -> Result<u8> {
    let mut items: Vec<NamespaceSummary> = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let page = context.client.namespaces(cursor.as_deref()).await;
        let page = context.check(page)?;
        items.extend(page.items);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    let output = context.output;
    if output.json {
        output.json(&Page { items, next: None })?;
        return Ok(0);
    }
    if items.is_empty() {
        output.note("no namespaces yet");
        output.hint("`buildbtw new PKGBASE/REF` creates one");
    } else {
        table(items).print(output)?;
    }
    warn_of_outages(context).await;
    Ok(0)
}

/// Warns if background tasks of the server cannot do their work. Only tokens of clients and administrators may read
/// this, and an older server does not have it; neither makes the list worse.
async fn warn_of_outages(context: &Context) {
    if !context.had_token {
        return;
    }
    for outage in context.client.outages().await.unwrap_or_default() {
        context.output.note(format_args!(
            "warning: outage of the server since {}: {}: {}",
            time::date(outage.since),
            clean(&outage.title),
            clean(&outage.message)
        ));
        if let Some(hint) = outage.hint {
            context.output.hint(hint);
        }
    }
}

fn table(items: Vec<NamespaceSummary>) -> Table {
    let mut table = Table::new(&[
        "NAMESPACE",
        "STATE",
        "BUILT",
        "FAILED",
        "CREATED",
        "ORIGINS",
    ]);
    for namespace in items {
        let iteration = &namespace.iteration;
        let counts = &iteration.counts;
        let origins: Vec<String> = namespace
            .changesets
            .iter()
            .map(ToString::to_string)
            .collect();
        table.row([
            Cell::new(&namespace.name),
            Cell::styled(style::iteration(iteration.status), iteration.status),
            Cell::new(format_args!("{}/{}", counts.done, counts.total())),
            Cell::new(counts.failed),
            Cell::new(time::date(namespace.created_at)),
            Cell::new(origins.join(" ")),
        ]);
    }
    table
}
