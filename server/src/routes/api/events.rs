//! `/namespaces/{name}/events`: server-sent events, as they are recorded.

use std::convert::Infallible;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event as SseEvent, KeepAlive};
use axum::response::{IntoResponse, Sse};
use buildbtw_model::NamespaceName;
use buildbtw_model::api::ProblemKind;
use tokio::sync::watch;

use crate::admission::Permit;
use crate::db::NamespaceId;
use crate::error::Error;
use crate::routes::extract;
use crate::routes::streaming::NO_BUFFERING;
use crate::serve::Peer;
use crate::service::read::{events, find};
use crate::state::AppState;

/// How many events are read at once.
const BATCH: i64 = 500;
/// Shows clients and proxies that the connection is alive.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

pub(crate) async fn stream_events(
    State(state): State<AppState>,
    extract::Path(name): extract::Path<NamespaceName>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
) -> Result<impl IntoResponse, Error> {
    let permit = peer
        .map(|Extension(Peer(peer))| state.admission.stream(peer.ip()))
        .transpose()?;
    let namespace = find::find_namespace(&state.database, &name).await?.id;
    let changes = state.changes.subscribe(namespace);
    let last = match headers.get("last-event-id") {
        None => events::last_event(&state.database, namespace).await?,
        Some(value) => {
            let number = value.to_str().ok().and_then(|text| text.parse().ok());
            number.ok_or_else(|| {
                Error::refused(ProblemKind::InvalidRequest, "Last-Event-ID is not a number")
            })?
        }
    };
    let follower = Follower {
        state,
        namespace,
        last,
        changes,
        pending: Vec::new(),
        _permit: permit,
    };
    let stream = futures_util::stream::unfold(follower, |mut follower| async move {
        let event = follower.next().await?;
        Some((Ok::<_, Infallible>(event), follower))
    });
    let stream = Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE));
    Ok(([(NO_BUFFERING, "no")], stream))
}

struct Follower {
    state: AppState,
    namespace: NamespaceId,
    last: i64,
    changes: watch::Receiver<u64>,
    /// Events read but not sent, the next one last.
    pending: Vec<buildbtw_model::api::Event>,
    _permit: Option<Permit>,
}

impl Follower {
    async fn next(&mut self) -> Option<SseEvent> {
        loop {
            if let Some(event) = self.pending.pop() {
                self.last = event.id;
                let id = event.id.to_string();
                match SseEvent::default().id(id).json_data(&event) {
                    Ok(event) => return Some(event),
                    Err(error) => {
                        tracing::error!(error = error.to_string(), "cannot send an event");
                        continue;
                    }
                }
            }
            self.changes.mark_unchanged();
            match events::events_after(&self.state.database, self.namespace, self.last, BATCH).await
            {
                Ok(events) if events.is_empty() => {}
                Ok(mut events) => {
                    events.reverse();
                    self.pending = events;
                    continue;
                }
                Err(error) => {
                    tracing::error!(error = error.to_string(), "cannot read events");
                    return None;
                }
            }
            tokio::select! {
                changed = self.changes.changed() => changed.ok()?,
                () = self.state.shutdown.cancelled() => return None,
            }
        }
    }
}
