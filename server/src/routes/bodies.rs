//! Bodies of requests whose sender nobody vouches for, or not yet: they are small, arrive within a
//! deadline, and share an amount of memory.

use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use buildbtw_model::api::ProblemKind;
use futures_util::StreamExt as _;
use serde::de::DeserializeOwned;

use crate::app_state::AppState;
use crate::auth::Identity;
use crate::error::{Error, Refusal};
use crate::routes::extract;
use crate::serve::Peer;

/// The largest JSON body without a token: an ID token, or what to plan.
const MAX_ANONYMOUS: usize = 64 * 1024;
/// How much more is read, and thrown away, so that the sender reads the answer.
const MAX_DRAINED: usize = 1024 * 1024;
/// How long a body may take. GitLab gives up a webhook after 10 s.
const DEADLINE: Duration = Duration::from_secs(30);

/// Reads a body of at most `limit` bytes piece by piece.
///
/// # Errors
/// When it is larger, breaks off, or does not arrive in time.
pub(crate) async fn read(
    body: Body,
    limit: usize,
    mut sink: impl FnMut(&[u8]),
) -> Result<(), Error> {
    let reading = async move {
        let mut pieces = body.into_data_stream();
        let mut length = 0;
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|error| {
                Refusal::new(ProblemKind::InvalidRequest, "the body broke off")
                    .detail(error.to_string())
            })?;
            length += piece.len();
            if length <= limit {
                sink(&piece);
            } else if length > limit + MAX_DRAINED {
                break;
            }
        }
        if length > limit {
            let title = "the body is larger than allowed";
            return Err(Refusal::new(ProblemKind::TooLarge, title)
                .detail(format!("at most {limit} bytes are read"))
                .into());
        }
        Ok(())
    };
    let read = tokio::time::timeout(DEADLINE, reading).await;
    read.unwrap_or_else(|_| {
        let title = "the body did not arrive in time";
        Err(Refusal::new(ProblemKind::InvalidRequest, title)
            .status(StatusCode::REQUEST_TIMEOUT)
            .detail(format!("it may take {} s", DEADLINE.as_secs()))
            .into())
    })
}

/// A JSON body that may come from anybody. With the token of a client it may be as large as others.
pub(crate) struct AnonymousJson<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<AppState> for AnonymousJson<T> {
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
        // Without a socket there is nobody to be fair to.
        let peer = extensions.get::<Peer>().map(|peer| peer.0.ip());
        let (parts, body) = request.into_parts();
        let declared = body.size_hint().upper();
        let declared = declared.and_then(|length| usize::try_from(length).ok());
        let kept = declared.unwrap_or(MAX_ANONYMOUS).min(MAX_ANONYMOUS);
        let _permit = match peer {
            Some(peer) => Some(state.admission.body(peer, kept).await?),
            None => None,
        };
        let mut bytes = Vec::with_capacity(kept);
        read(body, MAX_ANONYMOUS, |piece| bytes.extend_from_slice(piece)).await?;
        let request = Request::from_parts(parts, Body::from(bytes));
        let extract::Json(value) = extract::Json::from_request(request, state).await?;
        Ok(Self(value))
    }
}
