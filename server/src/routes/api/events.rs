//! `/namespaces/{name}/events`: server-sent events.

use std::convert::Infallible;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event as SseEvent, KeepAlive};
use axum::response::{IntoResponse, Sse};
use buildbtw_model::api::ProblemKind;
use buildbtw_model::{EventId, NamespaceName};
use futures_util::Stream;

use crate::admission::Permit;
use crate::error::Error;
use crate::routes::extract;
use crate::routes::streaming::{NO_BUFFERING, stream_permit};
use crate::serve::Peer;
use crate::service::read::events::EventFollower;
use crate::state::AppState;

/// Interval of keep-alive comments.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

pub(crate) async fn stream_events(
    State(state): State<AppState>,
    extract::Path(name): extract::Path<NamespaceName>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
) -> Result<impl IntoResponse, Error> {
    let permit = stream_permit(&state, peer)?;
    let after = last_event_id(&headers)?;
    let follower = EventFollower::begin(
        &state.database,
        &state.changes,
        &state.shutdown,
        &name,
        after,
    )
    .await?;
    let stream = Sse::new(stream(follower, permit));
    let stream = stream.keep_alive(KeepAlive::new().interval(KEEP_ALIVE));
    Ok(([(NO_BUFFERING, "no")], stream))
}

/// Returns the client's `Last-Event-ID`, if it sent one.
fn last_event_id(headers: &HeaderMap) -> Result<Option<EventId>, Error> {
    let Some(value) = headers.get("last-event-id") else {
        return Ok(None);
    };
    let number = value.to_str().ok().and_then(|text| text.parse().ok());
    let number = number.ok_or_else(|| {
        Error::refused(
            ProblemKind::InvalidRequest,
            "`Last-Event-ID` is not a number",
        )
    })?;
    Ok(Some(number))
}

fn stream(
    follower: EventFollower,
    permit: Option<Permit>,
) -> impl Stream<Item = Result<SseEvent, Infallible>> {
    futures_util::stream::unfold((follower, permit), |(mut follower, permit)| async move {
        loop {
            let event = follower.next().await?;
            match SseEvent::default()
                .id(event.id.to_string())
                .json_data(&event)
            {
                Ok(event) => return Some((Ok::<_, Infallible>(event), (follower, permit))),
                Err(error) => {
                    tracing::error!(error = error.to_string(), "cannot serialize an event");
                }
            }
        }
    })
}
