//! `buildbtw cancel`, `resume`, `retry` and `delete`: change the state of a namespace.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use buildbtw_model::NamespaceName;
use buildbtw_model::api::{NewerCommit, RetriedBuild, RetryBuilds, SetPriority};

use super::new::hint_to_watch;
use super::rows::{cut, more};
use crate::cli::{DeleteArgs, LimitArgs, PrioritizeArgs, RetryArgs};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::output::{Output, clean};

pub(super) async fn cancel(context: &Context, name: &NamespaceName) -> Result<u8> {
    let namespace = context.check(context.client.cancel(name).await)?;
    let output = &context.output;
    if output.is_json() {
        output.json(&namespace)?;
        return Ok(0);
    }
    let stopping = match namespace.summary.iteration.counts.building {
        0 => "no build is running".to_owned(),
        1 => "stopping 1 running build".to_owned(),
        count => format!("stopping {count} running builds"),
    };
    output.line(format_args!("cancelled {name}; {stopping}"))?;
    output.hint(format_args!("`buildbtw resume {name}` continues it"));
    Ok(0)
}

pub(super) async fn resume(context: &Context, name: &NamespaceName) -> Result<u8> {
    let namespace = context.check(context.client.resume(name).await)?;
    let output = &context.output;
    if output.is_json() {
        output.json(&namespace)?;
        return Ok(0);
    }
    let iteration = &namespace.summary.iteration;
    let counts = iteration.counts;
    output.line(format_args!(
        "resumed {name} with iteration {}: {} of {} builds left",
        iteration.number,
        counts.total() - counts.done,
        counts.total(),
    ))?;
    hint_to_watch(output, name);
    Ok(0)
}

pub(super) async fn retry(context: &Context, args: RetryArgs) -> Result<u8> {
    let name = args.namespace;
    let request = RetryBuilds {
        pkgbases: args.pkgbases,
        latest: args.latest,
    };
    let retried = context.check(context.client.retry_builds(&name, &request).await)?;
    let output = &context.output;
    if output.is_json() {
        output.json(&retried)?;
        return Ok(0);
    }
    let newer = newer_commits(&retried.newer, args.limit.all);
    if retried.is_new {
        let reason = if newer.is_empty() {
            "was planned in the meantime".to_owned()
        } else {
            format!("builds newer commits: {newer}")
        };
        output.line(format_args!(
            "{name}: iteration {} {reason}",
            retried.iteration
        ))?;
    }
    let verb = if retried.is_new {
        "will be built"
    } else {
        "will be retried"
    };
    print_retried(output, &retried.builds, args.limit, verb)?;
    if !retried.is_new && !newer.is_empty() {
        output.note(format_args!(
            "note: newer commits exist and will not be built: {newer}"
        ));
        output.hint(build_newer(&name));
    }
    let reasons = retried.not_built.iter().map(|reason| clean(&reason.text));
    let most = match args.limit.all {
        true => usize::MAX,
        false => SHOWN_REASONS,
    };
    for reason in cut(reasons.collect(), most, "reasons") {
        output.note(reason);
    }
    hint_to_watch(output, &name);
    Ok(0)
}

/// Returns the hint for newer commits that a retry does not build.
pub(super) fn build_newer(name: &NamespaceName) -> String {
    format!("`buildbtw retry {name} --latest` or `buildbtw new-iteration {name}` builds them")
}

/// The lines that `retry` prints besides the builds: the iteration, how many builds are missing and how many there are,
/// newer commits with a hint, reasons, a hint, and the prompt.
const OTHER_LINES: usize = 11;
/// How many newer commits are named unasked.
const NAMED_COMMITS: usize = 3;
/// The most reasons why newer commits are not built that are printed unasked.
const SHOWN_REASONS: usize = 3;

/// Prints the builds that are retried, as many as the screen has room for, and last how many there are.
fn print_retried(
    output: &Output,
    builds: &[RetriedBuild],
    limit: LimitArgs,
    verb: &str,
) -> Result<()> {
    let rows = limit.rows(output.screen.height.saturating_sub(OTHER_LINES));
    for build in builds.iter().take(rows) {
        let stage = match build.stage {
            1 => String::new(),
            stage => format!(" (stage {stage})"),
        };
        output.line(format_args!(
            "{} for {}{stage} {verb}",
            build.pkgbase, build.architecture
        ))?;
    }
    if let Some(more) = more(builds.len().saturating_sub(rows)) {
        output.line(more)?;
        output.line(format_args!("{} builds {verb}", builds.len()))?;
    }
    Ok(())
}

/// Describes newer commits, unasked the first few; nothing without any.
fn newer_commits(commits: &[NewerCommit], all: bool) -> String {
    let most = if all { usize::MAX } else { NAMED_COMMITS };
    let commit = |commit: &NewerCommit| {
        let NewerCommit { pkgbase, from, to } = commit;
        format!("{pkgbase} {} -> {}", from.short(), to.short())
    };
    let named: Vec<String> = commits.iter().take(most).map(commit).collect();
    let named = named.join(", ");
    match commits.len().saturating_sub(most) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

pub(super) async fn prioritize(context: &Context, args: PrioritizeArgs) -> Result<u8> {
    let name = &args.namespace;
    let request = SetPriority {
        priority: args.priority,
        reason: args.reason,
    };
    let namespace = context.check(context.client.set_priority(name, &request).await)?;
    let output = &context.output;
    if output.is_json() {
        output.json(&namespace)?;
        return Ok(0);
    }
    let ready = match namespace.summary.iteration.counts.ready {
        1 => "1 build is ready".to_owned(),
        count => format!("{count} builds are ready"),
    };
    let priority = namespace.summary.priority;
    output.line(format_args!("{name} has the priority {priority}; {ready}"))?;
    Ok(0)
}

pub(super) async fn delete(context: &Context, args: &DeleteArgs) -> Result<u8> {
    let name = &args.namespace;
    if !args.yes {
        confirm(context, name).await?;
    }
    context.check(context.client.delete_namespace(name).await)?;
    let output = &context.output;
    if output.is_json() {
        output.json(&serde_json::json!({ "name": name }))?;
    } else {
        output.line(format_args!(
            "deleted {name} with its repositories and logs"
        ))?;
    }
    Ok(0)
}

/// Asks whether to delete a namespace, which must exist.
async fn confirm(context: &Context, name: &NamespaceName) -> Result<()> {
    context.check(context.client.namespace(name).await)?;
    let why = match std::io::stdin().is_terminal() {
        true if confirmed(name)? => return Ok(()),
        true => "not confirmed",
        false => "it cannot be confirmed without a terminal",
    };
    Err(not_confirmed(name, why))
}

/// Creates the error of a deletion without consent.
pub(super) fn not_confirmed(name: &NamespaceName, why: &str) -> Error {
    Error::with_hint(
        format!("`{name}` was not deleted: {why}"),
        format!("`buildbtw delete {name} --yes` deletes it without confirmation"),
    )
}

fn confirmed(name: &NamespaceName) -> Result<bool> {
    let mut stderr = std::io::stderr();
    write!(
        stderr,
        "Delete {name} with its repositories and logs? [y/N] "
    )?;
    stderr.flush()?;
    let mut reply = String::new();
    std::io::stdin().lock().read_line(&mut reply)?;
    Ok(matches!(reply.trim(), "y" | "Y" | "yes"))
}
