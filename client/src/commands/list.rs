//! `buildbtw list`: lists the namespaces, the newest first.

use buildbtw_model::Priority;
use buildbtw_model::api::NamespaceSummary;

use super::rows::more;
use crate::cli::ListArgs;
use crate::context::Context;
use crate::error::Result;
use crate::output::{Cell, Table, clean, style, time};

/// The lines of a list besides its rows: the header and how many rows are missing.
const OTHER_LINES: usize = 3;

pub(super) async fn run(context: &Context, args: &ListArgs) -> Result<u8> {
    let created_by = own_name(context, args.mine).await?;
    let items = context.client.namespaces_of(created_by.as_deref()).await;
    let mut items = context.check(items)?;
    let is_empty = items.is_empty();
    items.retain(|namespace| args.has(namespace.iteration.status));
    let output = &context.output;
    if output.is_json() {
        let most = args.limit.rows_of_json();
        items.truncate(most.map_or(usize::MAX, buildbtw_model::saturating));
        output.json(&items)?;
        return Ok(0);
    }
    let total = items.len();
    items.truncate(
        args.limit
            .rows(output.screen.height.saturating_sub(OTHER_LINES)),
    );
    if !items.is_empty() {
        table(&items).print(output)?;
    } else if is_empty {
        let yours = if args.mine { " of yours" } else { "" };
        output.note(format_args!("no namespaces{yours} yet"));
        output.hint("`buildbtw new PKGBASE/REF` creates one");
    } else if total == 0 {
        output.note("no namespace is in this state");
        output.hint("`buildbtw list` lists all of them");
    }
    if let Some(more) = more(total - items.len()) {
        output.line(more)?;
    }
    warn_of_outages(context).await;
    Ok(0)
}

/// Returns the name of the token if `mine`: what belongs to a person is what tokens of this name did.
pub(super) async fn own_name(context: &Context, mine: bool) -> Result<Option<String>> {
    if !mine {
        return Ok(None);
    }
    let identity = context.check(context.client.identity().await)?;
    Ok(Some(identity.name))
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

fn table(items: &[NamespaceSummary]) -> Table {
    let prioritized = items.iter().any(|row| row.priority != Priority::Normal);
    // Older servers do not say who created a namespace.
    let is_known = items.iter().any(|row| row.created_by.is_some());
    let mut header = vec!["NAMESPACE", "STATE", "BUILT", "FAILED"];
    header.extend(prioritized.then_some("PRIORITY"));
    header.push("CREATED");
    header.extend(is_known.then_some("BY"));
    header.push("ORIGINS");
    let mut table = Table::new(&header);
    for namespace in items {
        let iteration = &namespace.iteration;
        let counts = &iteration.counts;
        let origins: Vec<String> = namespace
            .changesets
            .iter()
            .map(ToString::to_string)
            .collect();
        let mut row = vec![
            Cell::new(&namespace.name),
            Cell::styled(style::iteration(iteration.status), iteration.status),
            Cell::new(format_args!("{}/{}", counts.done, counts.total())),
            Cell::new(counts.failed),
        ];
        row.extend(prioritized.then(|| Cell::new(namespace.priority)));
        row.push(Cell::new(time::date(namespace.created_at)));
        let by = namespace.created_by.as_deref().unwrap_or_default();
        row.extend(is_known.then(|| Cell::new(clean(by))));
        row.push(Cell::new(origins.join(" ")));
        table.row(row);
    }
    table
}
