//! Bodies of unauthenticated requests: they are small, have a deadline, and share a limited amount of
//! memory. Received bytes count, not announced ones.

use std::fmt::Display;
use std::net::IpAddr;
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use buildbtw_model::api::{ExchangeIdToken, PlanPreview, ProblemKind};
use futures_util::StreamExt as _;
use serde::de::DeserializeOwned;

use crate::admission::{Admission, BodyPurpose, Permit};
use crate::auth::Identity;
use crate::error::{Error, Refusal};
use crate::routes::extract;
use crate::serve::Peer;
use crate::state::AppState;

/// Maximum size of a JSON body without a token.
const MAX_ANONYMOUS: usize = 64 * 1024;
/// How much more is read and discarded, so that the client reads the response.
const MAX_DRAINED: usize = 1024 * 1024;
/// Deadline of a body. GitLab gives up on a webhook after 10 s.
const DEADLINE: Duration = Duration::from_secs(30);
/// Maximum time without data.
const MAX_PAUSE: Duration = Duration::from_secs(5);
/// How long the rest of a refused upload is read.
const MAX_DRAIN: Duration = Duration::from_secs(30);

/// The memory that a body takes from the pool of its purpose.
pub(crate) struct MemoryShare<'a> {
    admission: &'a Admission,
    purpose: BodyPurpose,
    client: IpAddr,
    /// A fixed amount of memory; without it, the received bytes count.
    flat: Option<usize>,
    taken: Option<Permit>,
}

impl<'a> MemoryShare<'a> {
    /// Creates a share for a body that is kept in memory.
    pub(crate) fn in_memory(
        admission: &'a Admission,
        purpose: BodyPurpose,
        client: IpAddr,
    ) -> Self {
        Self {
            admission,
            purpose,
            client,
            flat: None,
            taken: None,
        }
    }

    /// Creates a share for a body that takes the same memory whatever its size.
    pub(crate) fn flat(
        admission: &'a Admission,
        purpose: BodyPurpose,
        client: IpAddr,
        bytes: usize,
    ) -> Self {
        Self {
            flat: Some(bytes),
            ..Self::in_memory(admission, purpose, client)
        }
    }

    /// Waits for memory for one more chunk.
    async fn take(&mut self, length: usize) -> Result<(), Error> {
        let bytes = match self.flat {
            Some(_) if self.taken.is_some() => return Ok(()),
            Some(bytes) => bytes,
            None => length,
        };
        let permit = self
            .admission
            .body(self.purpose, self.client, bytes)
            .await?;
        match &mut self.taken {
            Some(taken) => taken.join(permit),
            None => self.taken = Some(permit),
        }
        Ok(())
    }
}

/// Reads a body of at most `limit` bytes in chunks, within its memory share if it has one.
///
/// # Errors
/// When the body is too large, incomplete or too slow, or there is no memory for it.
pub(crate) async fn read(
    body: Body,
    limit: usize,
    mut share: Option<&mut MemoryShare<'_>>,
    mut sink: impl FnMut(&[u8]),
) -> Result<(), Error> {
    let reading = async move {
        let mut pieces = body.into_data_stream();
        let mut length = 0;
        loop {
            let piece = tokio::time::timeout(MAX_PAUSE, pieces.next()).await;
            let Some(piece) = piece.map_err(|_| too_slow())? else {
                break;
            };
            let piece = piece.map_err(incomplete)?;
            length += piece.len();
            if length <= limit {
                if let Some(share) = &mut share {
                    share.take(piece.len()).await?;
                }
                sink(&piece);
            } else if length > limit + MAX_DRAINED {
                break;
            }
        }
        if length > limit {
            return Err(too_large(limit));
        }
        Ok(())
    };
    let read = tokio::time::timeout(DEADLINE, reading).await;
    read.unwrap_or_else(|_| Err(too_slow()))
}

fn too_large(limit: usize) -> Error {
    let title = "the request body is too large";
    Refusal::new(ProblemKind::TooLarge, title)
        .detail(format!("the limit is {limit} bytes"))
        .into()
}

fn incomplete(error: impl Display) -> Error {
    let title = "the request body is incomplete";
    Refusal::new(ProblemKind::InvalidRequest, title)
        .detail(error.to_string())
        .hint("send the request again")
        .into()
}

fn too_slow() -> Error {
    let title = "receiving the request body timed out";
    Refusal::new(ProblemKind::InvalidRequest, title)
        .status(StatusCode::REQUEST_TIMEOUT)
        .detail(format!(
            "the limits are {} s in total and {} s without data",
            DEADLINE.as_secs(),
            MAX_PAUSE.as_secs()
        ))
        .hint("send the request again over a faster connection")
        .into()
}

/// Reads and discards the rest of a refused upload: a client that is still sending when the connection closes
/// never reads the response.
pub(crate) async fn drain_refused<T>(handled: &Result<T, Error>, mut body: BodyDataStream) {
    if handled.is_err() {
        let rest = async { while let Some(Ok(_)) = body.next().await {} };
        let _ = tokio::time::timeout(MAX_DRAIN, rest).await;
    }
}

/// A JSON body that is accepted without a token.
pub(crate) trait AnonymousBody: DeserializeOwned {
    /// The purpose, which has its own memory.
    const PURPOSE: BodyPurpose;
}

impl AnonymousBody for PlanPreview {
    const PURPOSE: BodyPurpose = BodyPurpose::Plan;
}

impl AnonymousBody for ExchangeIdToken {
    const PURPOSE: BodyPurpose = BodyPurpose::IdToken;
}

/// Extracts a JSON body that is accepted without a token. With a client's token the usual limit applies.
pub(crate) struct AnonymousJson<T>(pub(crate) T);

impl<T: AnonymousBody> FromRequest<AppState> for AnonymousJson<T> {
    type Rejection = Error;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Error> {
        let extensions = request.extensions();
        if extensions
            .get::<Identity>()
            .is_some_and(Identity::is_client)
        {
            let extract::Json(value) = extract::Json::from_request(request, state).await?;
            return Ok(Self(value));
        }
        // Without a socket there is no address to count for.
        let peer = extensions.get::<Peer>().map(|peer| peer.0.ip());
        let (parts, body) = request.into_parts();
        let mut share = peer.map(|peer| MemoryShare::in_memory(&state.admission, T::PURPOSE, peer));
        let mut bytes = Vec::new();
        read(body, MAX_ANONYMOUS, share.as_mut(), |piece| {
            bytes.extend_from_slice(piece);
        })
        .await?;
        let request = Request::from_parts(parts, Body::from(bytes));
        let extract::Json(value) = extract::Json::from_request(request, state).await?;
        Ok(Self(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_match_snapshot() {
        let text = crate::testing::refusals([
            ("large body", too_large(MAX_ANONYMOUS)),
            ("broken connection", incomplete("connection reset")),
            ("slow body", too_slow()),
        ]);
        insta::assert_snapshot!(text);
    }
}
