//! `/events` and `/namespaces/{name}/events`: server-sent events.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::str::FromStr;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event as SseEvent, KeepAlive};
use axum::response::{IntoResponse, Response, Sse};
use buildbtw_model::api::{Event, ProblemKind};
use buildbtw_model::{EventId, EventKind, NamespaceName};
use futures_util::Stream;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::admission::Permit;
use crate::error::{Error, Refusal};
use crate::routes::extract;
use crate::routes::streaming::{LastEventId, NO_BUFFERING, stream_permit};
use crate::serve::Peer;
use crate::service::read::events::{EventFilter, EventFollower};
use crate::state::AppState;

/// Interval of keep-alive comments.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct EventsQuery {
    /// Namespaces, separated by commas; all if absent
    #[param(example = "libgreet-1,openssl-3")]
    namespace: Option<String>,
    /// Kinds or their first parts, separated by commas; all if absent
    #[param(example = "build.failed,iteration")]
    kind: Option<String>,
    /// Source packages, separated by commas; all events if absent
    #[param(example = "libgreet")]
    package: Option<String>,
}

impl EventsQuery {
    fn filter(&self) -> Result<EventFilter, Error> {
        let kinds: BTreeSet<String> = parts("kind", self.kind.as_deref())?;
        if let Some(unknown) = kinds
            .iter()
            .find(|kind| !EventKind::begins_known_kind(kind))
        {
            let title = format!("the query parameter `kind` is invalid: `{unknown}` is unknown");
            let hint = "use kinds such as `build.failed`, or their first parts, such as `build`";
            return Err(Refusal::new(ProblemKind::InvalidRequest, title)
                .hint(hint)
                .into());
        }
        Ok(EventFilter {
            namespaces: parts("namespace", self.namespace.as_deref())?,
            kinds,
            packages: parts("package", self.package.as_deref())?,
        })
    }
}

/// Parses a list that is separated by commas.
fn parts<T>(name: &str, text: Option<&str>) -> Result<BTreeSet<T>, Error>
where
    T: FromStr + Ord,
    T::Err: std::fmt::Display,
{
    let parts = text.into_iter().flat_map(|text| text.split(','));
    let parts = parts.map(|part| {
        let parsed = part.parse::<T>().map_err(|error| error.to_string());
        let parsed = parsed.and_then(|parsed| match part {
            "" => Err("an entry is empty".to_owned()),
            _ => Ok(parsed),
        });
        parsed.map_err(|reason| {
            let title = format!("the query parameter `{name}` is invalid: {reason}");
            let hint = format!("separate values by commas, or leave out `{name}`");
            Error::from(Refusal::new(ProblemKind::InvalidRequest, title).hint(hint))
        })
    });
    parts.collect()
}

/// Streams the events of all namespaces.
///
/// Begins after the event of `Last-Event-ID`, or with the next one. Each `data:` line is an `Event`, whose number is
/// the `id:` of the message. Comments keep the connection alive.
#[utoipa::path(
    get,
    path = "/events",
    tag = "streams",
    params(EventsQuery, LastEventId),
    responses(
        (status = 200, description = "Events as they happen", body = Event, content_type = "text/event-stream"),
        (status = 404, description = "A namespace of the filter does not exist"),
    )
)]
pub(crate) async fn stream_all_events(
    State(state): State<AppState>,
    extract::Query(query): extract::Query<EventsQuery>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let permit = stream_permit(&state, peer)?;
    let after = LastEventId::of(&headers)?.map(EventId);
    let follower = EventFollower::begin_all(state.event_parts(), query.filter()?, after).await?;
    Ok(respond(follower, permit))
}

/// Streams the events of a namespace.
///
/// Begins after the event of `Last-Event-ID`, or with the next one. Each `data:` line is an `Event`, whose number is
/// the `id:` of the message. Comments keep the connection alive.
#[utoipa::path(
    get,
    path = "/namespaces/{name}/events",
    tag = "streams",
    params(("name" = NamespaceName, Path, description = "The namespace"), LastEventId),
    responses(
        (status = 200, description = "Events as they happen", body = Event, content_type = "text/event-stream"),
    )
)]
pub(crate) async fn stream_events(
    State(state): State<AppState>,
    extract::Path(name): extract::Path<NamespaceName>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let permit = stream_permit(&state, peer)?;
    let after = LastEventId::of(&headers)?.map(EventId);
    let follower = EventFollower::begin(state.event_parts(), &name, after).await?;
    Ok(respond(follower, permit))
}

fn respond(follower: EventFollower, permit: Option<Permit>) -> Response {
    let stream = Sse::new(stream(follower, permit));
    let stream = stream.keep_alive(KeepAlive::new().interval(KEEP_ALIVE));
    ([(NO_BUFFERING, "no")], stream).into_response()
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
