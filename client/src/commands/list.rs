//! `buildbtw list`: lists the namespaces, the newest first.

use buildbtw_model::api::{NamespaceSummary, Page};

use crate::context::Context;
use crate::error::Result;
use crate::output::{Cell, Table, style, time};

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
        output.note("there are no namespaces yet");
        output.hint("`buildbtw new PKGBASE/REF` creates one");
        return Ok(0);
    }
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
    table.print(output)?;
    Ok(0)
}
