//! What anybody may read: in turn, few at a time of one address, and over connections to the database
//! that nobody with a token waits for.

use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, HttpBody as _};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;

use super::pages::PageError;
use crate::auth;
use crate::db::{for_anonymous, poll_for_anonymous};
use crate::error::Error;
use crate::serve::{Around, Peer, Piece, hold, wrap};
use crate::state::AppState;

/// Has an answer made when it is its turn, unless the request has a valid token.
pub(crate) async fn in_turn(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Result<Response, Error> {
    serve(&state, request, next, Turn::Reading).await
}

/// The same for pages.
pub(super) async fn page_in_turn(
    state: State<AppState>,
    request: Request,
    next: Next,
) -> Result<Response, PageError> {
    Ok(in_turn(state, request, next).await?)
}

/// The same for the repositories that builds install from: addresses that authenticated lately do not
/// queue.
pub(crate) async fn for_builds(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Result<Response, Error> {
    let address = address(&request);
    if address.is_some_and(|address| state.admission.is_known(address)) {
        return Ok(next.run(request).await);
    }
    serve(&state, request, next, Turn::Browsing).await
}

/// Only keeps to the connections of the public, for what has turns of its own.
pub(crate) async fn apart(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Result<Response, Error> {
    serve(&state, request, next, Turn::Own).await
}

/// What a request without a token waits for.
#[derive(Clone, Copy)]
enum Turn {
    /// One of the turns in which answers are made.
    Reading,
    /// One of the turns in which files are sent.
    Browsing,
    /// Nothing: the handler has turns of its own.
    Own,
}

async fn serve(
    state: &AppState,
    request: Request,
    next: Next,
    turn: Turn,
) -> Result<Response, Error> {
    if auth::has_valid_token(state, &request).await? {
        return Ok(next.run(request).await);
    }
    let address = address(&request);
    let _permit = match (turn, address) {
        (Turn::Reading, Some(address)) => Some(state.admission.reading(address).await?),
        (Turn::Browsing, Some(address)) => Some(state.admission.browsing(address).await?),
        // Without a socket there is no address to share turns with.
        (Turn::Own, _) | (_, None) => None,
    };
    let response = for_anonymous(next.run(request)).await;
    let response = response.map(|body| wrap(body, PublicReader));
    match turn {
        Turn::Reading | Turn::Own => count(state, address, response),
        // What is sent lies on disk.
        Turn::Browsing => Ok(response),
    }
}

/// The address that a request comes from.
fn address(request: &Request) -> Option<IpAddr> {
    let peer = request.extensions().get::<Peer>();
    peer.map(|Peer(peer)| peer.ip())
}

/// Counts an answer that is there as a whole until it is read.
fn count(state: &AppState, address: Option<IpAddr>, response: Response) -> Result<Response, Error> {
    let size = response.body().size_hint().exact();
    let size = size.and_then(|size| usize::try_from(size).ok());
    let (Some(address), Some(size)) = (address, size) else {
        return Ok(response);
    };
    let permit = state.admission.answer(address, size)?;
    Ok(response.map(|body| hold(body, permit)))
}

/// An answer that reads the database while it is sent.
struct PublicReader;

impl Around for PublicReader {
    fn poll_piece(&mut self, body: Pin<&mut Body>, context: &mut Context<'_>) -> Poll<Piece> {
        poll_for_anonymous(|| body.poll_frame(context))
    }
}
