//! Responses that are streamed, or that wait for an event.

use axum::Extension;
use axum::http::HeaderName;

use crate::admission::Permit;
use crate::error::Error;
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
