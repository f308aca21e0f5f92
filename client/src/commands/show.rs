//! `buildbtw show`: shows a namespace, one of its iterations, and the builds of that iteration.

use buildbtw_model::api::{BuildSummary, IterationDetail, NamespaceDetail};
use buildbtw_model::{BuildStatus, ChangeKind, Pkgbase};
use serde::Serialize;

use crate::cli::ShowArgs;
use crate::context::Context;
use crate::error::Result;
use crate::output::{Cell, Output, Table, clean, style, time};

/// The namespace and the iteration, as the server sends them.
#[derive(Serialize)]
struct Shown {
    namespace: NamespaceDetail,
    iteration: IterationDetail,
}

pub(super) async fn run(context: &Context, args: &ShowArgs) -> Result<u8> {
    let (client, name) = (&context.client, &args.namespace);
    let namespace = context.check(client.namespace(name).await)?;
    let iteration = context.check(client.iteration(name, args.iteration).await)?;
    let output = context.output;
    if output.json {
        output.json(&Shown {
            namespace,
            iteration,
        })?;
        return Ok(0);
    }
    print_namespace(output, &namespace, &iteration)?;
    print_architectures(output, &iteration)?;
    print_changes(output, &iteration)?;
    for note in &iteration.notes {
        output.line(format_args!("{}: {}", note.kind, clean(&note.text)))?;
    }
    if !iteration.notes.is_empty() {
        output.line("")?;
    }
    print_builds(output, &iteration)?;
    Ok(0)
}

fn print_namespace(
    output: Output,
    namespace: &NamespaceDetail,
    iteration: &IterationDetail,
) -> Result<()> {
    let field = |label: &str, value: String| output.line(format_args!("{label:11} {value}"));
    let summary = &iteration.summary;
    field(
        "namespace",
        style::paint(style::HEADER, &namespace.summary.name),
    )?;
    field(
        "state",
        style::paint(style::iteration(summary.status), summary.status),
    )?;
    field(
        "iteration",
        format!(
            "{} of {} ({})",
            summary.number,
            namespace.iterations.len(),
            clean(&summary.reason)
        ),
    )?;
    for origin in &iteration.origins {
        field(
            "origin",
            format!("{} at {}", origin.changeset, origin.commit.short()),
        )?;
    }
    field("scope", namespace.summary.scope.to_string())?;
    field("network", namespace.summary.network.to_string())?;
    field("priority", namespace.summary.priority.to_string())?;
    if let Some(by) = &namespace.summary.created_by {
        let at = time::date(namespace.summary.created_at);
        field("created", format!("{at} by {}", clean(by)))?;
    }
    if let Some(by) = &namespace.summary.held_by {
        field("cancelled", format!("by {}", clean(by)))?;
    }
    field("planned", time::date(summary.created_at))?;
    if let Some(took) = time::between(Some(summary.created_at), summary.finished_at) {
        field("duration", took)?;
    }
    if let Some(eta) = summary.eta {
        field("ETA", time::date(eta))?;
    }
    if let Some(number) = summary.superseded_by {
        field("superseded", format!("by iteration {number}"))?;
    }
    if let Some(error) = &namespace.replan_error {
        field(
            "not planned",
            format!("since its sources changed: {}", clean(error)),
        )?;
    }
    field("web", clean(&namespace.web_url))
}

fn print_architectures(output: Output, iteration: &IterationDetail) -> Result<()> {
    for architecture in &iteration.architectures {
        let counts = &architecture.counts;
        let label = architecture.architecture.to_string();
        let (done, total) = (counts.done, counts.total());
        let failed = match counts.failed {
            0 => String::new(),
            failed => format!(", {failed} failed"),
        };
        output.line(format_args!("{label:11} {done} of {total} built{failed}"))?;
        if let Some(stalled) = &architecture.stalled {
            output.line(format_args!("{:11} stalled: {}", "", clean(stalled)))?;
        }
    }
    output.line("")?;
    // One section is valid for all architectures.
    if let Some(architecture) = iteration.architectures.first() {
        let repository = &architecture.repository;
        output.line("Add to pacman.conf, above all other repositories:")?;
        output.line("")?;
        for line in repository.pacman_conf.lines() {
            output.line(format_args!("    {}", clean(line)))?;
        }
        output.line("")?;
        output.line(clean(&repository.note))?;
        output.line("")?;
    }
    Ok(())
}

/// The most changes that are printed; the JSON output has all of them.
const SHOWN_CHANGES: usize = 20;

fn print_changes(output: Output, iteration: &IterationDetail) -> Result<()> {
    for change in iteration.changes.iter().take(SHOWN_CHANGES) {
        let what = match change.kind {
            ChangeKind::Added => "added",
            ChangeKind::Removed => "removed",
            ChangeKind::Changed => "changed",
            ChangeKind::Rewired => "new dependencies",
            ChangeKind::Other => "other change",
        };
        let commits = match (&change.from, &change.to, change.kind) {
            (Some(from), Some(to), ChangeKind::Changed) => {
                format!(" from {} to {}", from.short(), to.short())
            }
            _ => String::new(),
        };
        let (pkgbase, architecture) = (&change.pkgbase, &change.architecture);
        let stage = match change.stage {
            1 => String::new(),
            stage => format!(", stage {stage}"),
        };
        output.line(format_args!(
            "{what}: {pkgbase} ({architecture}{stage}){commits}"
        ))?;
    }
    let more = iteration.changes.len().saturating_sub(SHOWN_CHANGES);
    if more > 0 {
        output.line(format_args!("and {more} more changes"))?;
    }
    if iteration.changes.is_empty() {
        Ok(())
    } else {
        output.line("")
    }
}

fn print_builds(output: Output, iteration: &IterationDetail) -> Result<()> {
    let several = iteration.architectures.len() > 1;
    let staged = iteration.builds.iter().any(|build| build.stage > 1);
    let mut header = vec!["PKGBASE", "VERSION"];
    header.extend(several.then_some("ARCH"));
    header.extend(staged.then_some("STAGE"));
    header.extend(["STATE", "DURATION", "NOTE"]);
    let mut table = Table::new(&header);
    for build in &iteration.builds {
        let mut row = vec![Cell::new(&build.pkgbase), Cell::new(&build.version)];
        row.extend(several.then(|| Cell::new(&build.architecture)));
        row.extend(staged.then(|| Cell::new(build.stage)));
        row.push(Cell::styled(style::build(build.status), build.status));
        let took = time::between(build.started_at, build.finished_at);
        row.push(Cell::new(took.unwrap_or_default()));
        row.push(Cell::new(note(build)));
        table.row(row);
    }
    table.print(output)
}

/// Returns what the table shows of a build besides its state.
fn note(build: &BuildSummary) -> String {
    let bootstrap = build.bootstrap.then(|| "bootstrap build".to_owned());
    let state = Some(note_of_state(build)).filter(|state| !state.is_empty());
    let notes = bootstrap.into_iter().chain(build.version_note.clone());
    notes.chain(state).collect::<Vec<_>>().join("; ")
}

fn note_of_state(build: &BuildSummary) -> String {
    if !build.blocked_by.is_empty() {
        let blockers: Vec<&str> = build.blocked_by.iter().map(Pkgbase::as_str).collect();
        return format!("blocked by {}", blockers.join(", "));
    }
    if let Some(origin) = &build.reused_from {
        return format!("reused from {origin}");
    }
    match (build.explanation(), build.status) {
        (Some(explanation), _) => explanation.in_one_line(),
        (None, BuildStatus::Blocked) if !build.waits_for.is_empty() => {
            format!("waits for {}", shortened(&build.waits_for))
        }
        // For a build that waits, the useful note is why it is in the rebuild set.
        (None, BuildStatus::Blocked | BuildStatus::Ready) => {
            let chain: Vec<&str> = build.reason.iter().map(Pkgbase::as_str).collect();
            let chain = chain.join(" > ");
            match &build.via {
                Some(via) => format!("{chain} ({via})"),
                None => chain,
            }
        }
        (None, _) => String::new(),
    }
}

/// Returns the first few names, and the number of the others.
fn shortened(names: &[Pkgbase]) -> String {
    const SHOWN: usize = 3;
    let shown: Vec<&str> = names.iter().take(SHOWN).map(Pkgbase::as_str).collect();
    match names.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
