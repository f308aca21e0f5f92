//! `buildbtw logs`: prints the log of a build, with `--follow` while it grows.

use std::time::Duration;

use buildbtw_model::api::{BuildSummary, Event, ReusedFrom};
use buildbtw_model::client::{Backoff, ClientError, ConnectionProblem, EventStream};
use buildbtw_model::{AttemptId, BuildId, BuildStatus, EventKind, Pkgbase};

use crate::cli::LogsArgs;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::output::LogCleaner;

pub(super) async fn run(context: &Context, args: &LogsArgs) -> Result<u8> {
    let events = match args.follow {
        // Subscribes before the state is read, so that the start of an attempt cannot be missed.
        true => Some(context.check(context.client.events(&args.namespace, None).await)?),
        false => None,
    };
    let iteration = context.client.iteration(&args.namespace, None).await;
    let builds = context.check(iteration)?.builds;
    let build = choose(args, &builds)?;
    let attempt = match (args.attempt.or(build.attempt), events) {
        (Some(attempt), _) => attempt,
        (None, Some(events)) if can_begin(build.status) => {
            let why = missing_log(&format!("`{}`", build.pkgbase), build);
            context
                .output
                .note(format_args!("waiting for the log: {why}"));
            wait_for_attempt(context, build.id, events).await?
        }
        (None, _) => return Err(missing_log_error(build)),
    };
    if let Some(origin) = build
        .reused_from
        .as_ref()
        .filter(|known| known.attempt == attempt)
    {
        context
            .output
            .note(format_args!("{}", origin_of_log(context, build, origin)));
    }
    let mut printer = Printer::new(context);
    copy(context, args, build.id, attempt, &mut printer).await?;
    printer.finish()?;
    Ok(0)
}

/// Returns the build whose log to print.
fn choose<'a>(args: &LogsArgs, builds: &'a [BuildSummary]) -> Result<&'a BuildSummary> {
    let of_pkgbase: Vec<&BuildSummary> = builds
        .iter()
        .filter(|build| build.pkgbase == args.pkgbase)
        .collect();
    if of_pkgbase.is_empty() {
        return Err(Error::unknown_build(&args.namespace, &args.pkgbase));
    }
    let fits = |build: &&&BuildSummary| {
        let architecture = args.architecture.as_ref();
        architecture.is_none_or(|architecture| build.architecture == *architecture)
            && args.stage.is_none_or(|stage| build.stage == stage)
    };
    let fitting: Vec<&BuildSummary> = of_pkgbase.iter().filter(fits).copied().collect();
    let mut architectures: Vec<&str> = fitting
        .iter()
        .map(|build| build.architecture.as_str())
        .collect();
    architectures.sort_unstable();
    architectures.dedup();
    if architectures.len() > 1 {
        return Err(Error::with_hint(
            format!("`{}` is built for several architectures", args.pkgbase),
            format!(
                "choose one with --architecture: {}",
                architectures.join(", ")
            ),
        ));
    }
    // The last stage with an attempt, else the first stage.
    let attempted = fitting.iter().filter(|build| build.attempt.is_some());
    let chosen = attempted
        .max_by_key(|build| build.stage)
        .or_else(|| fitting.iter().min_by_key(|build| build.stage));
    chosen.copied().ok_or_else(|| {
        Error::with_hint(
            format!(
                "namespace `{}` has no build of `{}` with this architecture and stage",
                args.namespace, args.pkgbase
            ),
            format!(
                "`buildbtw show {}` lists architectures and stages",
                args.namespace
            ),
        )
    })
}

/// Returns whether an attempt may still start.
fn can_begin(status: BuildStatus) -> bool {
    match status {
        BuildStatus::Blocked
        | BuildStatus::Ready
        | BuildStatus::Dispatched
        | BuildStatus::Building => true,
        BuildStatus::Built | BuildStatus::Failed | BuildStatus::Reused | BuildStatus::Cancelled => {
            false
        }
    }
}

/// Returns why a build has no log, as a sentence about `it`.
fn missing_log(it: &str, build: &BuildSummary) -> String {
    match build.status {
        BuildStatus::Reused => format!("{it} was reused from an earlier build"),
        BuildStatus::Blocked if !build.blocked_by.is_empty() => {
            let blockers: Vec<&str> = build.blocked_by.iter().map(Pkgbase::as_str).collect();
            format!("{it} is blocked by {}", blockers.join(", "))
        }
        BuildStatus::Blocked => format!("{it} waits for other builds"),
        BuildStatus::Ready => format!("{it} is ready but not dispatched"),
        status => format!("{it} is {status}"),
    }
}

/// Returns the error for a build without a log.
fn missing_log_error(build: &BuildSummary) -> Error {
    let (pkgbase, why) = (&build.pkgbase, missing_log("it", build));
    match can_begin(build.status) {
        true => Error::with_hint(
            format!("`{pkgbase}` has no log yet: {why}"),
            "`--follow` waits for the log",
        ),
        false => Error::new(format!("`{pkgbase}` has no log: {why}")),
    }
}

/// Describes where the log of a reused build is from.
fn origin_of_log(context: &Context, build: &BuildSummary, origin: &ReusedFrom) -> String {
    let text = format!("{} was reused; this is the log of {origin}", build.pkgbase);
    match origin.build {
        Some(id) => format!("{text}: {}/builds/{id}", context.client.server()),
        None => text,
    }
}

/// Creates the error of a stream that has ended too early.
pub(super) fn closed() -> Error {
    Error::with_hint("the server closed the connection", "try again in a moment")
}

/// Waits for the first attempt of a build.
async fn wait_for_attempt(
    context: &Context,
    build: BuildId,
    mut events: EventStream,
) -> Result<AttemptId> {
    let of_build = |event: &Event| event.build == Some(build);
    loop {
        let Some(event) = context.check(events.next().await)? else {
            return Err(closed());
        };
        if let (true, Some(attempt)) = (of_build(&event), event.attempt) {
            return Ok(attempt);
        }
        if of_build(&event) && event.kind == EventKind::Build(BuildStatus::Cancelled) {
            return Err(Error::new("the build was cancelled before it started"));
        }
    }
}

/// Prints the log, and with `--follow` continues at the same offset when the connection breaks.
async fn copy(
    context: &Context,
    args: &LogsArgs,
    build: BuildId,
    attempt: AttemptId,
    printer: &mut Printer<'_>,
) -> Result<()> {
    let mut offset = 0;
    let mut backoff = first_backoff();
    loop {
        let before = offset;
        match stream(context, attempt, args.follow, &mut offset, printer).await? {
            Ok(()) if !args.follow || has_ended(context, build, attempt).await? => return Ok(()),
            Ok(()) => {}
            Err(error) if error.is_transient() && args.follow => {}
            Err(error) => return context.check(Err(error)),
        }
        if offset > before {
            backoff = first_backoff();
        }
        tokio::time::sleep(backoff.next_pause()).await;
    }
}

fn first_backoff() -> Backoff {
    Backoff::new(Duration::from_millis(100), Duration::from_secs(5))
}

/// Prints the log from `offset` until it ends or the connection breaks.
async fn stream(
    context: &Context,
    attempt: AttemptId,
    follow: bool,
    offset: &mut u64,
    printer: &mut Printer<'_>,
) -> Result<std::result::Result<(), ClientError>> {
    let mut log = match context.client.log(attempt, *offset, follow).await {
        Ok(log) => log,
        Err(error) => return Ok(Err(error)),
    };
    loop {
        match log.chunk().await {
            Ok(Some(chunk)) => {
                *offset += chunk.len() as u64;
                printer.print(&chunk)?;
            }
            Ok(None) => return Ok(Ok(())),
            Err(error) => {
                return Ok(Err(ClientError::Connection {
                    server: context.client.server().to_owned(),
                    reason: error.to_string(),
                    problem: ConnectionProblem::Network,
                }));
            }
        }
    }
}

/// Returns whether the stream ended because the attempt ended, and not because the server stopped.
async fn has_ended(context: &Context, build: BuildId, attempt: AttemptId) -> Result<bool> {
    match context.client.build(build).await {
        Ok(detail) => Ok(detail
            .attempts
            .iter()
            .find(|other| other.id == attempt)
            .is_none_or(|attempt| attempt.status.is_final())),
        Err(error) if error.is_transient() => Ok(false),
        Err(error) => context.check(Err(error)),
    }
}

/// Prints bytes unchanged, or their safe form on a terminal.
struct Printer<'a> {
    context: &'a Context,
    cleaner: Option<LogCleaner>,
}

impl<'a> Printer<'a> {
    fn new(context: &'a Context) -> Self {
        let terminal = context.output.terminal;
        Self {
            context,
            cleaner: terminal.then(LogCleaner::for_stdout),
        }
    }

    fn print(&mut self, bytes: &[u8]) -> Result<()> {
        match &mut self.cleaner {
            Some(cleaner) => self.context.output.bytes(&cleaner.feed(bytes)),
            None => self.context.output.bytes(bytes),
        }
    }

    fn finish(self) -> Result<()> {
        match self.cleaner {
            Some(cleaner) => self.context.output.bytes(&cleaner.finish()),
            None => Ok(()),
        }
    }
}
