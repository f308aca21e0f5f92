//! Follows a rebuild to its end, from the events that the server streams; nothing polls.

mod display;
mod feed;
mod frame;
mod keys;
mod painter;
mod summary;
mod text;
mod tracker;

use std::time::Duration;

use buildbtw_model::api::{IterationDetail, ProblemKind};
use buildbtw_model::{IterationStatus, NamespaceName};
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::LimitArgs;
use crate::context::Context;
use crate::error::{Error, Result};
use display::Display;
use feed::{Feed, Update};
use keys::{Key, Keys};
use tracker::Tracker;

pub(crate) use tracker::History;

/// The exit code of an interrupted command, by the convention of shells.
const EXIT_INTERRUPTED: u8 = 130;
/// The exit code of a command that SIGTERM ended, by the same convention.
const EXIT_TERMINATED: u8 = 143;
/// The interval at which elapsed times are drawn.
const TICK: Duration = Duration::from_millis(250);

/// Follows the newest iteration of a namespace, and returns the exit code for its result.
pub(crate) async fn follow(
    context: &Context,
    namespace: &NamespaceName,
    history: History,
    limit: LimitArgs,
) -> Result<u8> {
    // Installed before the first line is printed: a user may press Ctrl-C from then on.
    let mut interrupt = signal(SignalKind::interrupt())?;
    // Without it, the terminal would stay without echo.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut display = Display::new(&context.output);
    let (followed, code_if_left) = tokio::select! {
        followed = follow_to_end(context, namespace, history, limit, &mut display) => {
            (followed, EXIT_INTERRUPTED)
        }
        _ = interrupt.recv() => (Ok(None), EXIT_INTERRUPTED),
        _ = terminate.recv() => (Ok(None), EXIT_TERMINATED),
    };
    display.clear();
    let Some(detail) = followed? else {
        context.output.note("interrupted; the rebuild continues");
        context.output.hint(follow_again(namespace));
        return Ok(code_if_left);
    };
    if context.output.is_json() {
        context.output.json_line(&detail)?;
    } else {
        summary::print(&context.output, namespace, &detail, limit)?;
    }
    Ok(detail.summary.status.exit_code())
}

/// Returns the hint of an interruption.
pub(crate) fn follow_again(namespace: &NamespaceName) -> String {
    format!("`buildbtw watch {namespace}` follows it again")
}

/// Returns the iteration at its end, or nothing if the user left before.
async fn follow_to_end(
    context: &Context,
    namespace: &NamespaceName,
    history: History,
    limit: LimitArgs,
    display: &mut Display<'_>,
) -> Result<Option<IterationDetail>> {
    // Subscribes before it reads the state: a change in between is in one of them, or in both.
    let mut feed = Feed::open(context, namespace).await?;
    let mut detail = feed.iteration().await?;
    let mut keys = display.is_live().then(Keys::begin).flatten();
    if keys.is_some() {
        display.explain_keys();
    }
    let mut tracker = Tracker::new(&detail, history);
    display.start(namespace, &tracker, &detail)?;
    if detail.summary.status == IterationStatus::Running {
        display.earlier(&mut tracker, limit)?;
    }
    while detail.summary.status == IterationStatus::Running {
        let update = next_update(&mut feed, display, &tracker, &mut keys).await;
        let Some(update) = update.map_err(|error| if_deleted(namespace, error))? else {
            return Ok(None);
        };
        let settled = match update {
            Update::Event(event) => {
                display.event(&event)?;
                tracker.apply(&event);
                event.kind.is_about_iteration() || !tracker.is_active()
            }
            Update::Lost(reason) => {
                display.lost(&tracker, &reason);
                continue;
            }
            // Events may have been missed.
            Update::Reconnected => true,
        };
        if settled {
            let newer = feed.iteration().await;
            let newer = newer.map_err(|error| if_deleted(namespace, error))?;
            if newer.summary.number == detail.summary.number {
                tracker.refresh(&newer);
            } else {
                display.changes(&mut tracker)?;
                tracker = Tracker::new(&newer, history);
                display.switched(&tracker, &newer)?;
                display.earlier(&mut tracker, limit)?;
            }
            detail = newer;
            display.refresh(&tracker, &detail)?;
        }
        display.changes(&mut tracker)?;
    }
    Ok(Some(detail))
}

/// Waits for the next update while the live area is drawn; returns nothing if the user leaves.
async fn next_update(
    feed: &mut Feed<'_>,
    display: &mut Display<'_>,
    tracker: &Tracker,
    keys: &mut Option<Keys>,
) -> Result<Option<Update>> {
    let next = feed.next();
    tokio::pin!(next);
    loop {
        let key = async {
            match keys {
                Some(keys) => keys.next().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            update = &mut next => return update.map(Some),
            key = key => match key {
                Key::Quit => return Ok(None),
                key => display.key(tracker, key),
            },
            () = tokio::time::sleep(TICK), if display.is_live() => display.tick(tracker),
        }
    }
}

/// Converts the error of a namespace that existed before.
fn if_deleted(namespace: &NamespaceName, error: Error) -> Error {
    match error.problem_kind() {
        Some(ProblemKind::NotFound) => Error::with_hint(
            format!("namespace `{namespace}` was deleted while it was followed"),
            "`buildbtw list` lists the namespaces that exist",
        ),
        _ => error,
    }
}
