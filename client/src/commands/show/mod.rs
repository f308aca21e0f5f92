//! `buildbtw show`: shows the builds of an iteration, and last a summary of its namespace.

mod builds;
mod summary;

use buildbtw_model::api::{BuildSummary, IterationOverview, NamespaceDetail};
use buildbtw_model::{ChangeKind, IterationStatus};
use serde::Serialize;

use super::rows::{cut, more};
use crate::cli::ShowArgs;
use crate::context::Context;
use crate::error::Result;
use crate::output::{Output, clean};
use builds::Listed;

/// The fewest builds that are shown, even if the screen has no room for them.
const FEWEST_ROWS: usize = 5;
/// The most changes and notes that are shown unasked.
const SHOWN_NOTES: usize = 3;

/// What is printed as JSON: the namespace with the shown iteration and its builds.
#[derive(Serialize)]
struct Shown {
    status: IterationStatus,
    #[serde(flatten)]
    namespace: Namespace,
    #[serde(skip_serializing_if = "Option::is_none")]
    builds: Option<Vec<BuildSummary>>,
}

/// The namespace as the server sends it, with all that is known of the shown iteration.
type Namespace = serde_json::Map<String, serde_json::Value>;

pub(super) async fn run(context: &Context, args: &ShowArgs) -> Result<u8> {
    let (client, name) = (&context.client, &args.namespace);
    let namespace = context.check(client.namespace(name).await)?;
    let iteration = context.check(client.iteration_overview(name, args.iteration).await)?;
    let output = &context.output;
    if output.is_json() {
        output.json(&shown(context, args, &namespace, &iteration).await?)?;
        return Ok(0);
    }
    let sections = Sections::new(&namespace, &iteration, args.rows.limit.all);
    let room = output.screen.height.saturating_sub(sections.fixed() + 3);
    let rows = args.rows.limit.rows(room.max(FEWEST_ROWS));
    let mut listed = builds::list(context, args, &iteration, rows).await?;
    if args.rows.limit.is_unset() {
        listed.cut(rows);
    }
    let table = listed.table(&iteration).lines_on(&output.screen);
    // Besides these: the number of missing rows, an empty line, and the prompt.
    let others = usize::from(listed.missing() > 0) + 2;
    let lines = table.len() + sections.fixed() + sections.repository.len() + others;
    let has_room = args.rows.limit.all || lines <= output.screen.height;
    print(output, &sections, &listed, table, has_room)
}

fn print(
    output: &Output,
    sections: &Sections,
    listed: &Listed,
    table: Vec<String>,
    with_repository: bool,
) -> Result<u8> {
    for line in table {
        output.line(line)?;
    }
    if let Some(more) = more(listed.missing()) {
        output.line(more)?;
    }
    let repository: &[String] = match with_repository {
        true => &sections.repository,
        false => &[],
    };
    for section in [
        sections.changes.as_slice(),
        &sections.notes,
        repository,
        &sections.summary,
    ] {
        if section.is_empty() {
            continue;
        }
        output.line("")?;
        for line in section {
            output.line(output.screen.fit(line))?;
        }
    }
    if !with_repository {
        output.hint("`--all` prints everything, and the section for pacman.conf");
    }
    Ok(0)
}

async fn shown(
    context: &Context,
    args: &ShowArgs,
    namespace: &NamespaceDetail,
    iteration: &IterationOverview,
) -> Result<Shown> {
    let unprintable = |error: serde_json::Error| crate::error::Error::new(error.to_string());
    let builds = match context.output.has_field("builds") {
        true => Some(builds::all(context, args, iteration).await?),
        false => None,
    };
    let mut fields = Namespace::new();
    if let serde_json::Value::Object(object) =
        serde_json::to_value(namespace).map_err(unprintable)?
    {
        fields = object;
    }
    let iteration_fields = serde_json::to_value(iteration).map_err(unprintable)?;
    fields.insert("iteration".to_owned(), iteration_fields);
    Ok(Shown {
        status: iteration.summary.status,
        namespace: fields,
        builds,
    })
}

/// What is printed besides the builds, in lines.
struct Sections {
    changes: Vec<String>,
    notes: Vec<String>,
    /// The section for pacman.conf.
    repository: Vec<String>,
    summary: Vec<String>,
}

impl Sections {
    fn new(namespace: &NamespaceDetail, iteration: &IterationOverview, all: bool) -> Self {
        let most = if all { usize::MAX } else { SHOWN_NOTES };
        let notes = iteration
            .notes
            .iter()
            .map(|note| format!("{}: {}", note.kind, clean(&note.text)));
        Self {
            changes: cut(changes(iteration), most, "changes"),
            notes: cut(notes.collect(), most, "notes"),
            repository: summary::repository(iteration),
            summary: summary::lines(namespace, iteration),
        }
    }

    /// Returns the number of lines that are printed in any case.
    fn fixed(&self) -> usize {
        let sections = [&self.changes, &self.notes, &self.summary];
        let lines = sections.iter().map(|section| match section.len() {
            0 => 0,
            lines => lines + 1,
        });
        lines.sum()
    }
}

fn changes(iteration: &IterationOverview) -> Vec<String> {
    let line = |change: &buildbtw_model::api::IterationChange| {
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
        format!("{what}: {pkgbase} ({architecture}{stage}){commits}")
    };
    iteration.changes.iter().map(line).collect()
}
