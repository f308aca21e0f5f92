//! `buildbtw cancel`, `resume`, `retry` and `delete`: change the state of a namespace.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use buildbtw_model::NamespaceName;
use buildbtw_model::api::{NewerCommit, RetryBuilds};

use super::new::hint_to_watch;
use crate::cli::{DeleteArgs, RetryArgs};
use crate::context::Context;
use crate::error::{Error, Result};

pub(super) async fn cancel(context: &Context, name: &NamespaceName) -> Result<u8> {
    let namespace = context.check(context.client.cancel(name).await)?;
    let output = context.output;
    if output.json {
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
    let output = context.output;
    if output.json {
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
    let output = context.output;
    if output.json {
        output.json(&retried)?;
        return Ok(0);
    }
    if retried.is_new {
        let newer: Vec<_> = retried.newer.iter().map(newer).collect();
        let reason = if newer.is_empty() {
            "was planned in the meantime".to_owned()
        } else {
            format!("builds newer commits: {}", newer.join(", "))
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
    for build in &retried.builds {
        let stage = match build.stage {
            1 => String::new(),
            stage => format!(" (stage {stage})"),
        };
        output.line(format_args!(
            "{} for {}{stage} {verb}",
            build.pkgbase, build.architecture
        ))?;
    }
    if !retried.is_new && !retried.newer.is_empty() {
        let newer: Vec<_> = retried.newer.iter().map(newer).collect();
        output.note(format_args!(
            "note: newer commits exist and will not be built: {}",
            newer.join(", ")
        ));
        output.hint(build_newer(&name));
    }
    for reason in &retried.not_built {
        output.note(format_args!("{}", reason.text));
    }
    hint_to_watch(output, &name);
    Ok(0)
}

/// Returns the hint for newer commits that a retry does not build.
pub(super) fn build_newer(name: &NamespaceName) -> String {
    format!("`buildbtw retry {name} --latest` or `buildbtw new-iteration {name}` builds them")
}

/// Creates the error of a deletion without consent.
pub(super) fn not_confirmed(name: &NamespaceName) -> Error {
    Error::with_hint(
        format!("`{name}` was not deleted: not confirmed"),
        "`--yes` deletes it without confirmation",
    )
}

fn newer(commit: &NewerCommit) -> String {
    let NewerCommit { pkgbase, from, to } = commit;
    format!("{pkgbase} {} -> {}", from.short(), to.short())
}

pub(super) async fn delete(context: &Context, args: &DeleteArgs) -> Result<u8> {
    let name = &args.namespace;
    if !args.yes && std::io::stdin().is_terminal() && !confirmed(name)? {
        return Err(not_confirmed(name));
    }
    context.check(context.client.delete_namespace(name).await)?;
    if !context.output.json {
        context.output.line(format_args!(
            "deleted {name} with its repositories and logs"
        ))?;
    }
    Ok(0)
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
