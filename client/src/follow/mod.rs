//! Follows a rebuild to its end, from the events that the server streams; nothing polls.

mod display;
mod feed;
mod summary;
mod tracker;

use buildbtw_model::api::IterationDetail;
use buildbtw_model::{IterationStatus, NamespaceName};
use tokio::signal::unix::{SignalKind, signal};

use crate::context::Context;
use crate::error::Result;
use display::Display;
use feed::{Feed, Update};
use tracker::Tracker;

pub(crate) use tracker::History;

/// The exit code of an interrupted command, by the convention of shells.
const EXIT_INTERRUPTED: u8 = 130;

/// Follows the newest iteration of a namespace, and returns the exit code for its result.
pub(crate) async fn follow(
    context: &Context,
    namespace: &NamespaceName,
    history: History,
) -> Result<u8> {
    // Installed before the first line is printed: a user may press Ctrl-C from then on.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut display = Display::new(context.output);
    let followed = tokio::select! {
        followed = follow_to_end(context, namespace, history, &mut display) => Some(followed),
        _ = interrupt.recv() => None,
    };
    display.clear();
    let Some(detail) = followed else {
        context.output.note("interrupted; the rebuild continues");
        context.output.hint(follow_again(namespace));
        return Ok(EXIT_INTERRUPTED);
    };
    let detail = detail?;
    if context.output.json {
        context.output.json_line(&detail)?;
    } else {
        summary::print(context.output, namespace, &detail)?;
    }
    Ok(detail.summary.status.exit_code())
}

/// Returns the hint of an interruption.
pub(crate) fn follow_again(namespace: &NamespaceName) -> String {
    format!("`buildbtw watch {namespace}` follows it again")
}

async fn follow_to_end(
    context: &Context,
    namespace: &NamespaceName,
    history: History,
    display: &mut Display,
) -> Result<IterationDetail> {
    // Subscribes before it reads the state: a change in between is in one of them, or in both.
    let mut feed = Feed::open(context, namespace).await?;
    let mut detail = feed.iteration().await?;
    let mut tracker = Tracker::new(&detail, history);
    display.start(&tracker, &detail)?;
    while detail.summary.status == IterationStatus::Running {
        let settled = match feed.next().await? {
            Update::Event(event) => {
                display.event(&event)?;
                tracker.apply(&event);
                event.kind.is_about_iteration() || !tracker.is_active()
            }
            Update::Lost(reason) => {
                display.lost(&reason);
                continue;
            }
            // Events may have been missed.
            Update::Reconnected => true,
        };
        if settled {
            let newer = feed.iteration().await?;
            if newer.summary.number == detail.summary.number {
                tracker.refresh(&newer);
            } else {
                display.changes(&mut tracker)?;
                tracker = Tracker::new(&newer, history);
                display.switched(&newer)?;
            }
            detail = newer;
            display.stalled(&detail)?;
        }
        display.changes(&mut tracker)?;
    }
    Ok(detail)
}
