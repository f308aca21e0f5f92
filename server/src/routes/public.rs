//! Limits of public resources: few concurrent responses per address, over database connections that
//! requests with a token do not wait for.

use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, HttpBody as _};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;

use crate::auth;
use crate::db::{for_anonymous, poll_for_anonymous};
use crate::error::Error;
use crate::serve::{BodyHook, NextFrame, Peer, hold_until_sent, wrap_body};
use crate::state::AppState;

/// Waits for a permit to prepare the response, unless the request has a valid token.
pub(crate) async fn limit_public(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Result<Response, Error> {
    run_limited(&state, request, next, Queue::Responses).await
}

/// Limits requests as [`limit_public`] does, for repositories that builds install from: addresses that authenticated
/// recently do not queue.
pub(crate) async fn limit_repository(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Result<Response, Error> {
    let address = address(&request);
    if address.is_some_and(|address| state.admission.has_authenticated(address)) {
        return Ok(next.run(request).await);
    }
    run_limited(&state, request, next, Queue::Files).await
}

/// Uses the public database connections only, for handlers with their own limits.
pub(crate) async fn use_public_connections(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Result<Response, Error> {
    run_limited(&state, request, next, Queue::None).await
}

/// What a request without a token waits for.
#[derive(Clone, Copy)]
enum Queue {
    /// A permit to prepare a response.
    Responses,
    /// A permit to send a file.
    Files,
    /// Nothing: the handler has its own limit.
    None,
}

async fn run_limited(
    state: &AppState,
    request: Request,
    next: Next,
    queue: Queue,
) -> Result<Response, Error> {
    if auth::has_valid_token(state, &request).await? {
        return Ok(next.run(request).await);
    }
    let address = address(&request);
    let _permit = match (queue, address) {
        (Queue::Responses, Some(address)) => Some(state.admission.reading(address).await?),
        (Queue::Files, Some(address)) => Some(state.admission.browsing(address).await?),
        // Without a socket there is no address to count for.
        (Queue::None, _) | (_, None) => None,
    };
    let response = for_anonymous(next.run(request)).await;
    let response = response.map(|body| wrap_body(body, PublicReader));
    match queue {
        Queue::Responses | Queue::None => reserve_memory(state, address, response),
        // Files are sent from disk.
        Queue::Files => Ok(response),
    }
}

/// Returns the address that a request comes from.
fn address(request: &Request) -> Option<IpAddr> {
    let peer = request.extensions().get::<Peer>();
    peer.map(|Peer(peer)| peer.ip())
}

/// Takes memory for a response of known length until it is sent.
fn reserve_memory(
    state: &AppState,
    address: Option<IpAddr>,
    response: Response,
) -> Result<Response, Error> {
    let size = response.body().size_hint().exact();
    let size = size.and_then(|size| usize::try_from(size).ok());
    let (Some(address), Some(size)) = (address, size) else {
        return Ok(response);
    };
    let permit = state.admission.response(address, size)?;
    Ok(response.map(|body| hold_until_sent(body, permit)))
}

/// A response that reads the database while it is sent.
struct PublicReader;

impl BodyHook for PublicReader {
    fn poll_next(&mut self, body: Pin<&mut Body>, context: &mut Context<'_>) -> Poll<NextFrame> {
        poll_for_anonymous(|| body.poll_frame(context))
    }
}
