//! The summary of a rebuild that has ended.

use buildbtw_model::api::{ArchitectureSummary, BuildSummary, IterationDetail};
use buildbtw_model::{IterationStatus, NamespaceName};

use super::text::{counts_text, notes};
use super::tracker::causes;
use crate::cli::LimitArgs;
use crate::error::Result;
use crate::output::{Output, Screen, clean, hint_line, style, time};

/// The lines besides the failures, the notes and the repositories: the headline, how many failures are missing and the
/// result with an empty line each, and the prompt.
const OTHER_LINES: usize = 6;
/// The most lines of a message that are printed unasked.
const LINES_OF_MESSAGE: usize = 5;
/// How many blocked builds are named.
const NAMED_BLOCKED: usize = 5;

/// Prints the failures of an iteration with the builds they block, its repositories, and last its result.
pub(crate) fn print(
    output: &Output,
    namespace: &NamespaceName,
    detail: &IterationDetail,
    limit: LimitArgs,
) -> Result<()> {
    // The terminal may have changed its size since.
    let screen = Screen::of_stdout();
    let failed = causes(detail.builds.iter());
    let rows = limit.rows(usize::MAX);
    let built = |architecture: &&ArchitectureSummary| architecture.counts.done > 0;
    let repositories = detail.architectures.iter().filter(built);
    let repositories: Vec<String> = repositories.flat_map(repository).collect();
    let others = OTHER_LINES + notes(namespace, detail).len() + repositories.len();
    let room = screen.height.saturating_sub(others);
    let (mut shown, mut lines) = (0, 0);
    for (build, blocked) in failed.iter().take(rows) {
        let failure = failure(namespace, detail, build, *blocked, limit.all);
        lines += failure.len() + 1;
        if limit.is_unset() && shown > 0 && lines > room {
            break;
        }
        shown += 1;
        output.line("")?;
        for line in failure {
            output.line(screen.fit(&line))?;
        }
    }
    let missing = failed.len().saturating_sub(shown);
    if missing > 0 {
        output.line("")?;
        output.line(format_args!(
            "and {missing} more failed builds (`buildbtw show {namespace} --failed --all` lists them)"
        ))?;
    }
    for line in repositories {
        output.line(line)?;
    }
    output.line("")?;
    output.line(ending(namespace, detail))
}

/// Returns the lines about the repository of an architecture.
fn repository(architecture: &ArchitectureSummary) -> Vec<String> {
    let repository = &architecture.repository;
    let label = format!("repository for {}:", architecture.architecture);
    let label = style::paint(style::HEADER, label);
    let mut lines = vec![
        String::new(),
        format!("{label} {}", clean(&repository.url)),
        String::new(),
    ];
    let section = repository.pacman_conf.trim_end().lines();
    lines.extend(section.map(|line| format!("  {}", clean(line))));
    lines
}

fn ending(namespace: &NamespaceName, detail: &IterationDetail) -> String {
    let summary = &detail.summary;
    let status = style::paint(style::iteration(summary.status), summary.status);
    let took = time::between(Some(summary.created_at), summary.finished_at);
    let took = took.map(|took| format!(" in {took}")).unwrap_or_default();
    let counts = &summary.counts;
    let rest = match summary.status {
        IterationStatus::Done => String::new(),
        _ => format!(" ({})", counts_text(counts)),
    };
    let (done, total) = (counts.done, counts.total());
    format!("{namespace} {status}: {done} of {total} built{took}{rest}")
}

fn failure(
    namespace: &NamespaceName,
    detail: &IterationDetail,
    build: &BuildSummary,
    blocked: usize,
    all: bool,
) -> Vec<String> {
    let several = detail.architectures.len() > 1;
    let (pkgbase, architecture) = (&build.pkgbase, &build.architecture);
    let name = match several {
        true => format!("{pkgbase} {} for {architecture}", build.version),
        false => format!("{pkgbase} {}", build.version),
    };
    let mut lines = vec![format!("{} {name}", style::paint(style::ERROR, "failed"))];
    if let Some(message) = &build.message {
        let most = if all { usize::MAX } else { LINES_OF_MESSAGE };
        let message: Vec<&str> = message.trim_end().lines().collect();
        let shown = message.iter().take(most);
        lines.extend(shown.map(|line| format!("  {}", clean(line))));
        if message.len() > most {
            lines.push(format!("  and {} more lines", message.len() - most));
        }
        let hint = build.hint.as_ref();
        lines.extend(hint.map(|hint| format!("  {}", hint_line(hint))));
    }
    if blocked > 0 {
        let most = if all { usize::MAX } else { NAMED_BLOCKED };
        let names: Vec<&str> = detail
            .builds
            .iter()
            .filter(|other| {
                other.architecture == *architecture && other.blocked_by.contains(pkgbase)
            })
            .map(|other| other.pkgbase.as_str())
            .take(most)
            .collect();
        let more = match blocked - names.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        lines.push(format!("  blocks {}{more}", names.join(", ")));
    }
    let choice = match several {
        true => format!(" --arch {architecture}"),
        false => String::new(),
    };
    for (label, command) in [("log", "logs"), ("repeat", "build")] {
        lines.push(format!(
            "  {label}: buildbtw {command} {namespace} {pkgbase}{choice}"
        ));
    }
    lines
}
