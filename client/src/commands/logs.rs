//! `buildbtw logs`: the log of a build, while it grows if need be.

use std::time::Duration;

use buildbtw_model::api::{BuildSummary, Event, ReusedFrom};
use buildbtw_model::client::{Backoff, ClientError, EventStream};
use buildbtw_model::{AttemptId, BuildId, BuildStatus, EventKind, Pkgbase};

use crate::cli::Logs;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::output::LogCleaner;

pub(super) async fn run(context: &Context, args: &Logs) -> Result<u8> {
    let events = match args.follow {
        // Before the state is read, so that the beginning of an attempt cannot be missed.
        true => Some(context.ask(context.client.events(&args.namespace, None).await)?),
        false => None,
    };
    let iteration = context.client.iteration(&args.namespace, None).await;
    let builds = context.ask(iteration)?.builds;
    let build = choose(args, &builds)?;
    let attempt = match (args.attempt.or(build.attempt), events) {
        (Some(attempt), _) => attempt,
        (None, Some(events)) if can_begin(build.status) => {
            context.output.note(format_args!("{}", not_yet(build)));
            wait_for_attempt(context, build.id, events).await?
        }
        (None, _) => return Err(Error::new(not_yet(build))),
    };
    if let Some(origin) = build
        .reused_from
        .as_ref()
        .filter(|known| known.attempt == attempt)
    {
        context
            .output
            .note(format_args!("{}", made_elsewhere(context, build, origin)));
    }
    let mut printer = Printer::new(context);
    copy(context, args, build.id, attempt, &mut printer).await?;
    printer.finish()?;
    Ok(0)
}

/// The build whose log is wanted.
fn choose<'a>(args: &Logs, builds: &'a [BuildSummary]) -> Result<&'a BuildSummary> {
    let of_pkgbase: Vec<&BuildSummary> = builds
        .iter()
        .filter(|build| build.pkgbase == args.pkgbase)
        .collect();
    if of_pkgbase.is_empty() {
        return Err(Error::with_hint(
            format!("{} is not part of {}", args.pkgbase, args.namespace),
            format!("`buildbtw show {}` lists its builds", args.namespace),
        ));
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
            format!("{} is built for several architectures", args.pkgbase),
            format!(
                "choose one with --architecture: {}",
                architectures.join(", ")
            ),
        ));
    }
    // The last stage that was tried, else the first that will be.
    let tried = fitting.iter().filter(|build| build.attempt.is_some());
    let chosen = tried
        .max_by_key(|build| build.stage)
        .or_else(|| fitting.iter().min_by_key(|build| build.stage));
    chosen.copied().ok_or_else(|| {
        Error::with_hint(
            format!(
                "{} is not built like that in {}",
                args.pkgbase, args.namespace
            ),
            format!(
                "`buildbtw show {}` lists architectures and stages",
                args.namespace
            ),
        )
    })
}

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

/// Why there is no log.
fn not_yet(build: &BuildSummary) -> String {
    let pkgbase = &build.pkgbase;
    match build.status {
        BuildStatus::Reused => format!("{pkgbase} was taken over from an earlier build"),
        BuildStatus::Blocked if !build.blocked_by.is_empty() => {
            let blockers: Vec<&str> = build.blocked_by.iter().map(Pkgbase::as_str).collect();
            format!("{pkgbase} is blocked by {}", blockers.join(", "))
        }
        BuildStatus::Blocked => format!("{pkgbase} waits for other builds"),
        BuildStatus::Ready => format!("{pkgbase} waits for a worker"),
        status => format!("{pkgbase} is {status} and has no log"),
    }
}

/// Says of the log of a reused build what it is.
fn made_elsewhere(context: &Context, build: &BuildSummary, origin: &ReusedFrom) -> String {
    let text = format!("{} was reused; this is the log of {origin}", build.pkgbase);
    match origin.build {
        Some(id) => format!("{text}: {}/builds/{id}", context.client.server()),
        None => text,
    }
}

/// Waits until somebody begins to build it.
async fn wait_for_attempt(
    context: &Context,
    build: BuildId,
    mut events: EventStream,
) -> Result<AttemptId> {
    let of_build = |event: &Event| event.build == Some(build);
    loop {
        let Some(event) = context.ask(events.next().await)? else {
            return Err(Error::with_hint(
                "the server closed the connection",
                "try again in a moment",
            ));
        };
        if let (true, Some(attempt)) = (of_build(&event), event.attempt) {
            return Ok(attempt);
        }
        if of_build(&event) && event.kind == EventKind::Build(BuildStatus::Cancelled) {
            return Err(Error::new("the build was cancelled"));
        }
    }
}

/// Prints the log, and goes on where it stopped when the connection breaks.
async fn copy(
    context: &Context,
    args: &Logs,
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
            Err(error) => return context.ask(Err(error)),
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

/// Prints from `offset` on for as long as the connection holds.
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
                }));
            }
        }
    }
}

/// Whether the stream ended because the attempt did, and not because the server goes away.
async fn has_ended(context: &Context, build: BuildId, attempt: AttemptId) -> Result<bool> {
    match context.client.build(build).await {
        Ok(detail) => Ok(detail
            .attempts
            .iter()
            .find(|other| other.id == attempt)
            .is_none_or(|attempt| attempt.status.is_final())),
        Err(error) if error.is_transient() => Ok(false),
        Err(error) => context.ask(Err(error)),
    }
}

/// Prints the bytes as they are, or what is harmless of them on a terminal.
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
