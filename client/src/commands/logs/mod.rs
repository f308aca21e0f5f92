//! `buildbtw logs`: prints the log of a build, with `--follow` while it grows, or those of all failed builds.

mod sink;
pub(super) mod stream;

use buildbtw_model::api::{BuildSummary, IterationOverview};
use buildbtw_model::client::BuildQuery;
use buildbtw_model::{AttemptId, BuildStatus, Pkgbase};
use serde::Serialize;

use super::choose::{Wanted, can_begin, choose, missing_log, missing_log_error, origin_of_log};
use super::unknown::unknown_build;
use crate::cli::LogsArgs;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::output::style;
use sink::{Lines, Sink};
use stream::{copy, wait_for_attempt};

/// The log of a build as JSON.
#[derive(Serialize)]
struct Log<'a> {
    pkgbase: &'a Pkgbase,
    architecture: &'a buildbtw_model::Architecture,
    stage: u32,
    attempt: AttemptId,
    lines: Vec<String>,
}

pub(super) async fn run(context: &Context, args: &LogsArgs) -> Result<u8> {
    match &args.pkgbase {
        Some(pkgbase) => of_package(context, args, pkgbase).await,
        None if args.failed => of_failed(context, args).await,
        None => Err(Error::with_hint(
            "a source package is needed",
            format!(
                "`buildbtw logs {} --failed` prints the logs of all failed builds",
                args.namespace
            ),
        )),
    }
}

async fn of_package(context: &Context, args: &LogsArgs, pkgbase: &Pkgbase) -> Result<u8> {
    let events = match args.follow {
        // Subscribes before the state is read, so that the start of an attempt cannot be missed.
        true => Some(context.check(context.client.events(&args.namespace, None).await)?),
        false => None,
    };
    let (iteration, builds) = builds(context, args, Some(pkgbase)).await?;
    if builds.is_empty() {
        return Err(unknown_build(context, &args.namespace, &iteration, pkgbase).await);
    }
    let wanted = Wanted {
        namespace: &args.namespace,
        arch: args.arch.as_ref(),
        stage: args.stage,
    };
    let build = choose(&wanted, pkgbase, &builds)?;
    let attempt = match (args.attempt.or(build.attempt), events) {
        (Some(attempt), _) => attempt,
        (None, Some(events)) if can_begin(build.status) => {
            let why = missing_log(&format!("`{}`", build.pkgbase), build);
            let output = &context.output;
            output.note(format_args!("waiting for the log: {why}"));
            wait_for_attempt(context, build.id, events).await?
        }
        (None, _) => return Err(missing_log_error(build)),
    };
    let origin = build.reused_from.as_ref();
    if let Some(origin) = origin.filter(|known| known.attempt == attempt) {
        context.output.note(origin_of_log(context, build, origin));
    }
    let code = print_all(context, args, &[(build, attempt)]).await?;
    if build.status == BuildStatus::Failed && !context.output.is_json() {
        context.output.hint(repeat(args, pkgbase));
    }
    Ok(code)
}

/// Returns how to repeat the attempt whose log was printed.
fn repeat(args: &LogsArgs, pkgbase: &Pkgbase) -> String {
    let mut command = format!("buildbtw build {} {pkgbase}", args.namespace);
    if let Some(attempt) = args.attempt {
        command.push_str(&format!(" --attempt {attempt}"));
    } else {
        if let Some(arch) = &args.arch {
            command.push_str(&format!(" --arch {arch}"));
        }
        if let Some(stage) = args.stage {
            command.push_str(&format!(" --stage {stage}"));
        }
    }
    format!("`{command}` repeats this attempt on your machine")
}

/// Prints the logs of all failed builds, each below a line that names the build.
async fn of_failed(context: &Context, args: &LogsArgs) -> Result<u8> {
    let (_, builds) = builds(context, args, None).await?;
    let logs: Vec<_> = builds
        .iter()
        .filter(|build| {
            args.arch
                .as_ref()
                .is_none_or(|arch| build.architecture == *arch)
        })
        .filter_map(|build| Some((build, build.attempt?)))
        .collect();
    if logs.is_empty() {
        context.output.note("no build failed");
    }
    print_all(context, args, &logs).await
}

async fn builds(
    context: &Context,
    args: &LogsArgs,
    pkgbase: Option<&Pkgbase>,
) -> Result<(IterationOverview, Vec<BuildSummary>)> {
    let (client, name) = (&context.client, &args.namespace);
    let iteration = context.check(client.iteration_overview(name, None).await)?;
    let query = BuildQuery {
        package: pkgbase.cloned(),
        status: pkgbase.is_none().then_some(BuildStatus::Failed),
        ..BuildQuery::default()
    };
    let builds = client.builds(name, iteration.summary.number, &query, None);
    let builds = context.check(builds.await)?;
    Ok((iteration, builds))
}

async fn print_all(
    context: &Context,
    args: &LogsArgs,
    logs: &[(&BuildSummary, AttemptId)],
) -> Result<u8> {
    let output = &context.output;
    let mut found = Vec::new();
    let mut matched = false;
    for (build, attempt) in logs {
        let title = format!(
            "{} {} for {}",
            build.pkgbase, build.version, build.architecture
        );
        let title = (args.pkgbase.is_none() && !output.is_json())
            .then(|| style::paint(style::HEADER, format_args!("==> {title}")));
        let lines = Lines::new(args.grep.as_ref().map(|pattern| &pattern.0), args.tail);
        let mut sink = Sink::new(output, lines, title);
        copy(context, args.follow, build.id, *attempt, &mut sink).await?;
        let lines = sink.finish()?;
        matched |= lines.matched;
        found.push(Log {
            pkgbase: &build.pkgbase,
            architecture: &build.architecture,
            stage: build.stage,
            attempt: *attempt,
            lines: lines.kept,
        });
    }
    if output.is_json() {
        output.json(&found)?;
    }
    match &args.grep {
        Some(pattern) if !matched && !logs.is_empty() => Err(Error::with_hint(
            format!("no line of the log matches `{}`", pattern.0.as_str()),
            "leave out --grep to print the log",
        )),
        _ => Ok(0),
    }
}
