//! `buildbtw new`: creates a namespace.

use buildbtw_model::api::{BuildCounts, CreateNamespace, IterationDetail};
use buildbtw_model::{NamespaceName, NoteKind};

use crate::cli::NewArgs;
use crate::context::Context;
use crate::error::Result;
use crate::follow::{self, History};
use crate::output::{Output, clean, style};

/// The most notes that are printed.
const SHOWN_NOTES: usize = 3;

pub(super) async fn run(context: &Context, args: NewArgs) -> Result<u8> {
    let request = CreateNamespace {
        changesets: args.changesets.into_iter().map(|origin| origin.0).collect(),
        name: args.name,
        scope: args.spread.scope,
        max_builds: args.max_builds,
        no_bump: args.no_bump,
        network: args.network,
        include: args.spread.include,
        exclude: args.spread.exclude,
        bootstrap: args.spread.bootstrap,
        same_sonames: args.spread.same_sonames,
        follow_default: args.follow_default,
        priority: args.priority,
    };
    let created = context.check(context.client.create_namespace(&request).await)?;
    let output = &context.output;
    let name = &created.summary.name;
    if !args.follow {
        if output.is_json() {
            output.json(&created)?;
            return Ok(0);
        }
        output.line(format_args!(
            "{}: {}",
            style::paint(style::HEADER, name),
            describe_counts(&created.summary.iteration.counts)
        ))?;
        output.line(&created.web_url)?;
        // The namespace exists even if this request fails.
        if let Ok(iteration) = context.client.iteration(name, None).await {
            print_notes(output, name, &iteration);
        }
        hint_to_watch(output, name);
        return Ok(0);
    }
    if !output.is_json() {
        let name = style::paint(style::HEADER, name);
        output.line(format_args!("{name} {}", created.web_url))?;
    }
    follow::follow(context, name, History::Everything, args.limit).await
}

/// Prints which command follows a rebuild.
pub(super) fn hint_to_watch(output: &Output, namespace: &NamespaceName) {
    output.hint(format_args!(
        "`buildbtw watch {namespace}` follows the rebuild"
    ));
}

/// Prints the first notes of an iteration, such as the packages that were left out of its plan.
pub(super) fn print_notes(output: &Output, namespace: &NamespaceName, iteration: &IterationDetail) {
    for note in iteration.notes.iter().take(SHOWN_NOTES) {
        let label = if note.kind == NoteKind::Problem {
            "problem"
        } else {
            "note"
        };
        output.note(format_args!("{label}: {}", clean(&note.text)));
    }
    let missing = iteration.notes.len().saturating_sub(SHOWN_NOTES);
    if missing > 0 {
        output.note(format_args!(
            "and {missing} more notes (`buildbtw show {namespace} --all` prints them)"
        ));
    }
}

/// Describes how many builds a new iteration has, and how many of them are reused.
pub(super) fn describe_counts(counts: &BuildCounts) -> String {
    let (reused, total) = (counts.done, counts.total());
    match (reused, total - reused) {
        (0, builds) => format!("{builds} to build"),
        (reused, 0) => format!("nothing to build, {reused} reused"),
        (reused, builds) => format!("{builds} to build, {reused} reused"),
    }
}
