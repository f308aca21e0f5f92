//! What anybody may read: in turn, few at a time of one address, and over connections to the database
//! that nobody with a token waits for.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use hyper::body::{Frame, SizeHint};

use super::pages::PageError;
use crate::auth;
use crate::db::{for_the_public, poll_for_the_public};
use crate::error::Error;
use crate::serve::{Held, Peer};
use crate::state::AppState;

/// Has an answer made when it is its turn, unless the request has a valid token.
pub(crate) async fn in_turn(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Result<Response, Error> {
    if auth::has_valid_token(&state, &request).await? {
        return Ok(next.run(request).await);
    }
    let peer = request.extensions().get::<Peer>().copied();
    // Without a socket there is no address to share turns with.
    let _turn = match peer {
        Some(Peer(peer)) => Some(state.admission.reading(peer.ip()).await?),
        None => None,
    };
    hold(&state, peer, answer(request, next).await)
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
    state: State<AppState>,
    request: Request,
    next: Next,
) -> Result<Response, Error> {
    let peer = request.extensions().get::<Peer>().copied();
    if peer.is_some_and(|Peer(peer)| state.admission.is_known(peer.ip())) {
        return Ok(next.run(request).await);
    }
    let State(state) = state;
    if auth::has_valid_token(&state, &request).await? {
        return Ok(next.run(request).await);
    }
    let _turn = match peer {
        Some(Peer(peer)) => Some(state.admission.browsing(peer.ip()).await?),
        None => None,
    };
    // What is sent lies on disk.
    Ok(answer(request, next).await)
}

/// Only keeps to the connections of the public, for what has turns of its own.
pub(crate) async fn apart(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Result<Response, Error> {
    if auth::has_valid_token(&state, &request).await? {
        return Ok(next.run(request).await);
    }
    let peer = request.extensions().get::<Peer>().copied();
    hold(&state, peer, answer(request, next).await)
}

async fn answer(request: Request, next: Next) -> Response {
    let response = for_the_public(next.run(request)).await;
    response.map(|body| Body::new(PublicBody(body)))
}

/// Counts an answer that is there as a whole until it is read.
fn hold(state: &AppState, peer: Option<Peer>, response: Response) -> Result<Response, Error> {
    let size = response.body().size_hint().exact();
    let size = size.and_then(|size| usize::try_from(size).ok());
    let (Some(Peer(peer)), Some(size)) = (peer, size) else {
        return Ok(response);
    };
    let permit = state.admission.answer(peer.ip(), size)?;
    Ok(response.map(|body| Held::body(body, permit)))
}

/// An answer that reads the database while it is sent.
struct PublicBody(Body);

impl HttpBody for PublicBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        poll_for_the_public(|| Pin::new(&mut self.0).poll_frame(context))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}
