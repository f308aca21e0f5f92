//! `buildbtw cancel`, `resume`, `retry` and `delete`.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use buildbtw_model::NamespaceName;
use buildbtw_model::api::{NewerCommit, RetryBuilds};

use crate::cli::{Delete, Retry};
use crate::context::Context;
use crate::error::{Error, Result};

pub(super) async fn cancel(context: &Context, name: &NamespaceName) -> Result<u8> {
    let namespace = context.ask(context.client.cancel(name).await)?;
    let output = context.output;
    if output.json {
        output.json(&namespace)?;
        return Ok(0);
    }
    let stopping = namespace.summary.iteration.counts.building;
    let running = match stopping {
        0 => "nothing of it runs".to_owned(),
        1 => "1 build is being stopped".to_owned(),
        count => format!("{count} builds are being stopped"),
    };
    output.line(format_args!("{name} is cancelled; {running}"))?;
    output.note(format_args!("To let it go on: buildbtw resume {name}"));
    Ok(0)
}

pub(super) async fn resume(context: &Context, name: &NamespaceName) -> Result<u8> {
    let namespace = context.ask(context.client.resume(name).await)?;
    let output = context.output;
    if output.json {
        output.json(&namespace)?;
        return Ok(0);
    }
    let iteration = &namespace.summary.iteration;
    let counts = iteration.counts;
    output.line(format_args!(
        "{name} goes on with iteration {}: {} of {} builds to do",
        iteration.number,
        counts.total() - counts.done,
        counts.total(),
    ))?;
    output.note(format_args!("To follow it: buildbtw watch {name}"));
    Ok(0)
}

pub(super) async fn retry(context: &Context, args: Retry) -> Result<u8> {
    let name = args.namespace;
    let request = RetryBuilds {
        pkgbases: args.pkgbases,
        latest: args.latest,
    };
    let retried = context.ask(context.client.retry_builds(&name, &request).await)?;
    let output = context.output;
    if output.json {
        output.json(&retried)?;
        return Ok(0);
    }
    if retried.is_new {
        let taken: Vec<_> = retried.newer.iter().map(newer).collect();
        let taken = if taken.is_empty() {
            "was planned meanwhile".to_owned()
        } else {
            format!("takes {}", taken.join(", "))
        };
        output.line(format_args!(
            "{name}: iteration {} {taken}",
            retried.iteration
        ))?;
    }
    let verb = if retried.is_new {
        "is built"
    } else {
        "is tried again"
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
            "Newer commits exist, and were not taken: {}\nTo build them: buildbtw retry {name} --latest, or \
             buildbtw new-iteration {name}",
            newer.join(", ")
        ));
    }
    for note in &retried.notes {
        output.note(format_args!("{note}"));
    }
    output.note(format_args!("To follow it: buildbtw watch {name}"));
    Ok(0)
}

fn newer(commit: &NewerCommit) -> String {
    let NewerCommit { pkgbase, from, to } = commit;
    format!("{pkgbase} {} -> {}", from.short(), to.short())
}

pub(super) async fn delete(context: &Context, args: &Delete) -> Result<u8> {
    let name = &args.namespace;
    if !args.yes && std::io::stdin().is_terminal() && !confirmed(name)? {
        return Err(Error::new("nothing was deleted"));
    }
    context.ask(context.client.delete_namespace(name).await)?;
    if !context.output.json {
        context.output.line(format_args!(
            "{name} is deleted, with its repositories and logs"
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
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
