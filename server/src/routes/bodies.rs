//! Bodies of requests whose sender nobody vouches for, or not yet: they are small, arrive within a
//! deadline, and share an amount of memory. What counts is what has arrived, not what is announced.

use std::net::IpAddr;
use std::time::Duration;

use axum::body::Body;
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

/// The largest JSON body without a token: an ID token, or what to plan.
const MAX_ANONYMOUS: usize = 64 * 1024;
/// How much more is read, and thrown away, so that the sender reads the answer.
const MAX_DRAINED: usize = 1024 * 1024;
/// How long a body may take. GitLab gives up a webhook after 10 s.
const DEADLINE: Duration = Duration::from_secs(30);
/// How long it may pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The memory that a body takes of what its kind shares.
pub(crate) struct MemoryShare<'a> {
    admission: &'a Admission,
    purpose: BodyPurpose,
    client: IpAddr,
    /// What reading takes whatever the size; otherwise what was read is kept.
    flat: Option<usize>,
    taken: Option<Permit>,
}

impl<'a> MemoryShare<'a> {
    /// For a body that is kept.
    pub(crate) fn growing(admission: &'a Admission, purpose: BodyPurpose, client: IpAddr) -> Self {
        Self {
            admission,
            purpose,
            client,
            flat: None,
            taken: None,
        }
    }

    /// For a body that takes the same memory whatever its size.
    pub(crate) fn flat(
        admission: &'a Admission,
        purpose: BodyPurpose,
        client: IpAddr,
        bytes: usize,
    ) -> Self {
        Self {
            flat: Some(bytes),
            ..Self::growing(admission, purpose, client)
        }
    }

    /// Waits for memory for one more piece.
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

/// Reads a body of at most `limit` bytes piece by piece, within its share where it has one.
///
/// # Errors
/// When it is larger, breaks off, does not arrive in time, or there is no memory for it.
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
            let piece = tokio::time::timeout(LONGEST_PAUSE, pieces.next()).await;
            let Some(piece) = piece.map_err(|_| too_slow())? else {
                break;
            };
            let piece = piece.map_err(|error| {
                Refusal::new(
                    ProblemKind::InvalidRequest,
                    "the request body is incomplete",
                )
                .detail(error.to_string())
            })?;
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
            let title = "the request body is too large";
            return Err(Refusal::new(ProblemKind::TooLarge, title)
                .detail(format!("the limit is {limit} bytes"))
                .into());
        }
        Ok(())
    };
    let read = tokio::time::timeout(DEADLINE, reading).await;
    read.unwrap_or_else(|_| Err(too_slow()))
}

fn too_slow() -> Error {
    let title = "receiving the request body timed out";
    Refusal::new(ProblemKind::InvalidRequest, title)
        .status(StatusCode::REQUEST_TIMEOUT)
        .detail(format!(
            "the limits are {} s in total and {} s without data",
            DEADLINE.as_secs(),
            LONGEST_PAUSE.as_secs()
        ))
        .into()
}

/// What a JSON body that may come from anybody is for.
pub(crate) trait AnonymousBody: DeserializeOwned {
    /// Whose memory it takes.
    const PURPOSE: BodyPurpose;
}

impl AnonymousBody for PlanPreview {
    const PURPOSE: BodyPurpose = BodyPurpose::Plan;
}

impl AnonymousBody for ExchangeIdToken {
    const PURPOSE: BodyPurpose = BodyPurpose::IdToken;
}

/// A JSON body that may come from anybody. With the token of a client it may be as large as others.
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
        // Without a socket there is no address to share turns with.
        let peer = extensions.get::<Peer>().map(|peer| peer.0.ip());
        let (parts, body) = request.into_parts();
        let mut share = peer.map(|peer| MemoryShare::growing(&state.admission, T::PURPOSE, peer));
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
