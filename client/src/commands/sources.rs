//! `buildbtw sources`: lists the source repositories, with the problems of broken ones.

use buildbtw_model::api::{SourceRepositorySummary, SourcesOverview};
use buildbtw_model::client::SourceQuery;
use buildbtw_model::saturating;

use super::rows::more;
use crate::cli::SourcesArgs;
use crate::context::Context;
use crate::error::Result;
use crate::output::{Cell, Table, clean, style, time};

/// The lines of the list besides its rows: the header, how many are missing, and the state of all.
const OTHER_LINES: usize = 4;

pub(super) async fn run(context: &Context, args: &SourcesArgs) -> Result<u8> {
    let query = SourceQuery {
        broken: args.broken,
        search: args.search.clone(),
        ..SourceQuery::default()
    };
    let output = &context.output;
    if output.is_json() {
        let most = args.limit.rows_of_json();
        output.json(&context.check(context.client.sources(&query, most).await)?)?;
        return Ok(0);
    }
    let rows = args
        .limit
        .rows(output.screen.height.saturating_sub(OTHER_LINES));
    let overview = context.check(context.client.sources_overview().await)?;
    let is_filtered = query != SourceQuery::default();
    // Without a filter, the total is known without the rows.
    let most = u32::try_from(rows).ok().filter(|_| !is_filtered);
    let mut items = context.check(context.client.sources(&query, most).await)?;
    let total = match is_filtered {
        true => items.len(),
        false => saturating(overview.usable + overview.broken),
    };
    items.truncate(rows);
    if !items.is_empty() {
        table(&items).print(output)?;
    }
    if let Some(more) = more(total.saturating_sub(items.len())) {
        output.line(more)?;
    }
    if let (true, Some(search)) = (items.is_empty(), &args.search) {
        output.note(format_args!(
            "no source repository matches `{}`",
            clean(search)
        ));
    }
    let (usable, broken) = (overview.usable, overview.broken);
    output.note(format_args!(
        "{usable} usable, {broken} broken; {}",
        freshness(&overview)
    ));
    if let Some(outage) = overview.outage {
        let since = time::date(outage.since);
        let message = clean(&outage.message);
        output.note(format_args!("outage since {since}: {message}"));
        if let Some(hint) = outage.hint {
            output.hint(hint);
        }
    }
    Ok(0)
}

/// Describes how recent the list is.
fn freshness(overview: &SourcesOverview) -> String {
    let progress = overview.progress.map(|progress| match progress.total {
        Some(total) => format!("{} of {total} read", progress.seen),
        None => format!("{} read", progress.seen),
    });
    match (progress, overview.last_scan_at, overview.last_poll_at) {
        (Some(progress), _, _) if overview.complete => format!("full resync: {progress}"),
        (Some(progress), _, _) => format!("initial sync: {progress}"),
        (None, _, Some(at)) => format!("last poll {}", time::date(at)),
        (None, Some(at), None) => format!("last full resync {}", time::date(at)),
        (None, None, None) => "not polled yet".to_owned(),
    }
}

fn table(items: &[SourceRepositorySummary]) -> Table {
    let mut table = Table::new(&[
        "REPOSITORY",
        "PKGBASE",
        "VERSION",
        "BRANCH",
        "COMMIT",
        "NOTE",
    ]);
    for source in items {
        let text = |value: Option<String>| Cell::new(value.unwrap_or_default());
        table.row([
            Cell::new(&source.path),
            text(source.pkgbase.as_ref().map(ToString::to_string)),
            text(source.version.as_ref().map(ToString::to_string)),
            text(source.branch.clone()),
            text(
                source
                    .commit
                    .as_ref()
                    .map(|commit| commit.short().to_owned()),
            ),
            Cell::styled(style::usable(source.problem.is_none()), note(source)),
        ]);
    }
    table
}

/// Returns the problem of a broken repository with its hint, or what builds of a usable one ignore and do not fetch.
fn note(source: &SourceRepositorySummary) -> String {
    if let Some(problem) = source.explanation() {
        return problem.in_one_line();
    }
    let mut parts = source.not_fetched.clone();
    if !source.warnings.is_empty() {
        parts.push(format!("ignored: {}", source.warnings.join("; ")));
    }
    match parts.is_empty() {
        true => "ok".to_owned(),
        false => parts.join("; "),
    }
}
