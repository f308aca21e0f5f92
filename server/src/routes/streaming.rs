//! Responses that are streamed, or that wait for an event.

use axum::Extension;
use axum::http::{HeaderMap, HeaderName};
use buildbtw_model::api::ProblemKind;
use utoipa::IntoParams;

use crate::admission::Permit;
use crate::error::{Error, Refusal};
use crate::serve::Peer;
use crate::state::AppState;

/// Tells proxies (the name is nginx's), and our own compression, not to buffer.
pub(crate) const NO_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Admits a stream to the address of a request. Without a socket there is no address to count for.
///
/// # Errors
/// When the address has too many streams.
pub(crate) fn stream_permit(
    state: &AppState,
    peer: Option<Extension<Peer>>,
) -> Result<Option<Permit>, Error> {
    peer.map(|Extension(Peer(peer))| state.admission.stream(peer.ip()))
        .transpose()
}

/// Where a stream continues.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "it only describes the header")]
pub(crate) struct LastEventId {
    /// The `id` of the last message that the client has; the stream continues after it
    #[param(rename = "Last-Event-ID", example = 1042, minimum = 0)]
    last_event_id: Option<i64>,
}

impl LastEventId {
    /// Returns the number that the client sent, if it sent one.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Option<i64>, Error> {
        let value = headers.get("last-event-id");
        // An empty id is none (HTML, "server-sent events").
        let Some(value) = value.filter(|value| !value.is_empty()) else {
            return Ok(None);
        };
        // Ids are sent without a sign, which the parser of Rust would accept.
        let text = value.to_str().ok();
        let text = text.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        let number = text.and_then(|text| text.parse().ok()).ok_or_else(|| {
            let title = "`Last-Event-ID` is not the number of an event";
            Refusal::new(ProblemKind::InvalidRequest, title)
                .hint("send the `id` of the last event, or leave it out to start with the next one")
        })?;
        Ok(Some(number))
    }
}
