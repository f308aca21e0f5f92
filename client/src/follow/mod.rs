//! Follows a rebuild to its end. The server says what happens as it happens; nothing here polls.

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
use feed::{Feed, News};
use tracker::Tracker;

pub(crate) use tracker::History;

/// What a command exits with that was interrupted, by the shells' convention.
const EXIT_INTERRUPTED: u8 = 130;

/// Follows the newest iteration of a namespace, and says with its exit code how it ended.
pub(crate) async fn follow(
    context: &Context,
    namespace: &NamespaceName,
    history: History,
) -> Result<u8> {
    // Before the first line is printed: from then on people may press Ctrl-C.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut display = Display::new(context.output);
    let followed = tokio::select! {
        ended = follow_to_end(context, namespace, history, &mut display) => Some(ended),
        _ = interrupt.recv() => None,
    };
    display.clear();
    let Some(ended) = followed else {
        context.output.note(format_args!(
            "The rebuild goes on. To come back to it: buildbtw watch {namespace}"
        ));
        return Ok(EXIT_INTERRUPTED);
    };
    let detail = ended?;
    if context.output.json {
        context.output.json_line(&detail)?;
    } else {
        summary::print(context.output, namespace, &detail)?;
    }
    Ok(detail.summary.status.exit_code())
}

async fn follow_to_end(
    context: &Context,
    namespace: &NamespaceName,
    history: History,
    display: &mut Display,
) -> Result<IterationDetail> {
    // Events first, then the state: whatever happens in between is in one of them, or in both.
    let mut feed = Feed::open(context, namespace).await?;
    let mut detail = feed.iteration().await?;
    let mut tracker = Tracker::new(&detail, history);
    display.start(&tracker, &detail)?;
    while detail.summary.status == IterationStatus::Running {
        let settled = match feed.next().await? {
            News::Event(event) => {
                display.event(&event)?;
                tracker.apply(&event);
                event.kind.is_about_iteration() || !tracker.is_active()
            }
            News::Lost(reason) => {
                display.lost(&reason);
                continue;
            }
            // Events may have been missed.
            News::Reconnected => true,
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
