//! The summary of a rebuild that has ended.

use buildbtw_model::api::{BuildSummary, IterationDetail};
use buildbtw_model::{BuildStatus, IterationStatus, NamespaceName};

use super::display::counts_text;
use crate::error::Result;
use crate::output::{Output, clean, hint_line, style, time};

/// Prints the result of an iteration, its failures with the builds they block, and its repositories.
pub(crate) fn print(
    output: Output,
    namespace: &NamespaceName,
    detail: &IterationDetail,
) -> Result<()> {
    output.line("")?;
    output.line(ending(namespace, detail))?;
    let failed = |build: &&BuildSummary| build.status == BuildStatus::Failed;
    for build in detail.builds.iter().filter(failed) {
        output.line("")?;
        for line in failure(namespace, detail, build) {
            output.line(line)?;
        }
    }
    for architecture in &detail.architectures {
        if architecture.counts.done == 0 {
            continue;
        }
        let repository = &architecture.repository;
        output.line("")?;
        let label = format!("repository for {}:", architecture.architecture);
        output.line(format_args!(
            "{} {}",
            style::paint(style::HEADER, label),
            clean(&repository.url)
        ))?;
        output.line("")?;
        for line in repository.pacman_conf.trim_end().lines() {
            output.line(format_args!("  {}", clean(line)))?;
        }
    }
    Ok(())
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
) -> Vec<String> {
    let several = detail.architectures.len() > 1;
    let (pkgbase, architecture) = (&build.pkgbase, &build.architecture);
    let name = match several {
        true => format!("{pkgbase} {} for {architecture}", build.version),
        false => format!("{pkgbase} {}", build.version),
    };
    let mut lines = vec![format!("{} {name}", style::paint(style::ERROR, "failed"))];
    if let Some(message) = &build.message {
        lines.push(format!("  {}", clean(message)));
        let hint = build.hint.as_ref();
        lines.extend(hint.map(|hint| format!("  {}", hint_line(hint))));
    }
    let blocked: Vec<&str> = detail
        .builds
        .iter()
        .filter(|other| other.architecture == *architecture && other.blocked_by.contains(pkgbase))
        .map(|other| other.pkgbase.as_str())
        .collect();
    if !blocked.is_empty() {
        lines.push(format!("  blocks {}", blocked.join(", ")));
    }
    let choice = match several {
        true => format!(" --architecture {architecture}"),
        false => String::new(),
    };
    lines.push(format!(
        "  log: buildbtw logs {namespace} {pkgbase}{choice}"
    ));
    lines
}
