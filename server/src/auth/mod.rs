//! Authorization layers. Every changing route is behind one of them, so that a new handler cannot forget
//! the check.

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::Response;
use buildbtw_gitlab::webhook::VerificationError;
use buildbtw_model::TokenScope;
use buildbtw_model::api::ProblemKind;

use crate::db::tokens::TokenRow;
use crate::error::{Error, Refusal};
use crate::planning::queue::Caller;
use crate::principal::Principal;
use crate::serve::Peer;
use crate::service::tokens::{authenticate, not_valid, recovery_hint};
use crate::state::AppState;

/// The token of an authorized request. Handlers get it as an extension.
#[derive(Clone, Debug)]
pub struct Identity(pub TokenRow);

impl Identity {
    /// Returns who sent the request.
    #[must_use]
    pub fn principal(&self) -> Principal {
        Principal {
            token: self.0.id,
            name: self.0.name.clone(),
            scope: self.0.scope,
        }
    }

    /// Returns the caller whose plans share a queue.
    #[must_use]
    pub fn caller(&self) -> Caller {
        Caller::Token(self.0.id)
    }

    /// Returns whether the token may do what clients do.
    #[must_use]
    pub fn is_client(&self) -> bool {
        self.0.scope.allows(TokenScope::Client)
    }
}

/// Accepts requests with any valid token.
///
/// # Errors
/// When there is no valid token.
pub async fn any_token(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Result<Response, Error> {
    let identity = identify(&state, bearer(&request), peer(&request)).await?;
    Ok(forward(identity, request, next).await)
}

/// Accepts requests with a valid token, or without one.
///
/// # Errors
/// When there is an invalid token.
pub async fn optional(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Result<Response, Error> {
    let Some(token) = bearer(&request) else {
        return Ok(next.run(request).await);
    };
    let identity = identify(&state, Some(token), peer(&request)).await?;
    Ok(forward(identity, request, next).await)
}

/// Accepts requests of clients.
///
/// # Errors
/// When there is no valid token, or its scope does not suffice.
pub async fn client(
    state: State<AppState>,
    request: Request,
    next: Next,
) -> Result<Response, Error> {
    require(TokenScope::Client, state, request, next).await
}

/// Accepts requests of workers.
///
/// # Errors
/// When there is no valid token, or its scope does not suffice.
pub async fn worker(
    state: State<AppState>,
    request: Request,
    next: Next,
) -> Result<Response, Error> {
    require(TokenScope::Worker, state, request, next).await
}

/// Accepts requests about attempts: from workers, and from jobs with the token of one attempt. The services
/// check which attempt it is.
///
/// # Errors
/// When there is no valid token, or its scope does not suffice.
pub async fn attempt(
    state: State<AppState>,
    request: Request,
    next: Next,
) -> Result<Response, Error> {
    require(TokenScope::Attempt, state, request, next).await
}

/// Accepts requests of administrators.
///
/// # Errors
/// When there is no valid token, or its scope does not suffice.
pub async fn admin(
    state: State<AppState>,
    request: Request,
    next: Next,
) -> Result<Response, Error> {
    require(TokenScope::Admin, state, request, next).await
}

/// Returns whether a request has a valid token. For public resources: an invalid token counts as none.
pub(crate) fn has_valid_token(
    state: &AppState,
    request: &Request,
) -> impl Future<Output = Result<bool, Error>> + use<> {
    let (state, token) = (state.clone(), bearer(request));
    async move {
        match token {
            Some(token) => {
                let found = authenticate(&state.database, &state.token_cache, &token).await?;
                Ok(found.is_some())
            }
            None => Ok(false),
        }
    }
}

async fn require(
    scope: TokenScope,
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Result<Response, Error> {
    let identity = identify(&state, bearer(&request), peer(&request)).await?;
    if !identity.0.scope.allows(scope) {
        let title = format!(
            "this requires a token of scope `{scope}`; yours has scope `{}`",
            identity.0.scope
        );
        return Err(Refusal::new(ProblemKind::Forbidden, title)
            .hint(format!(
                "an admin creates one with `buildbtw token create --scope {}`",
                if scope == TokenScope::Attempt {
                    TokenScope::Worker
                } else {
                    scope
                }
            ))
            .into());
    }
    Ok(forward(identity, request, next).await)
}

async fn forward(identity: Identity, mut request: Request, next: Next) -> Response {
    request.extensions_mut().insert(identity);
    next.run(request).await
}

/// What to do about webhooks that fail verification.
const SECRETS_HINT: &str = "its secret token or signing token must match the server's settings";

/// Returns the error for the sender of a webhook that failed verification.
pub(crate) fn refuse_webhook(
    state: &AppState,
    peer: Option<Peer>,
    error: VerificationError,
) -> Error {
    let pause = peer.and_then(|peer| state.failed_logins.record(peer.0.ip()));
    match pause {
        None => Refusal::new(
            ProblemKind::Unauthenticated,
            format!("webhook rejected: {error}"),
        )
        .hint(SECRETS_HINT),
        Some(pause) => Refusal::new(
            ProblemKind::TooManyRequests,
            "too many rejected webhooks from this address",
        )
        .hint(SECRETS_HINT)
        .retry_after(pause),
    }
    .into()
}

/// Returns the bearer token of a request (RFC 6750, section 2.1).
fn bearer(request: &Request) -> Option<String> {
    let (scheme, token) = request
        .headers()
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?
        .split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| token.trim().to_owned())
}

/// Returns the address that a request comes from.
fn peer(request: &Request) -> Option<IpAddr> {
    let peer = request.extensions().get::<Peer>()?;
    Some(peer.0.ip())
}

async fn identify(
    state: &AppState,
    token: Option<String>,
    peer: Option<IpAddr>,
) -> Result<Identity, Error> {
    let Some(token) = token else {
        return Err(
            Refusal::new(ProblemKind::Unauthenticated, "this requires a token")
                .hint(
                    "`buildbtw login` stores one; an admin creates it with `buildbtw token create`",
                )
                .into(),
        );
    };
    if let Some(row) = authenticate(&state.database, &state.token_cache, &token).await? {
        if let Some(peer) = peer {
            state.admission.authenticated(peer);
        }
        return Ok(Identity(row));
    }
    let pause = peer.and_then(|address| state.failed_logins.record(address));
    Err(match pause {
        None => match recovery_hint(&state.database, &token).await? {
            Some(hint) => Refusal::new(
                ProblemKind::Unauthenticated,
                "the token is unknown, expired or revoked",
            )
            .hint(hint),
            None => return Err(not_valid()),
        },
        Some(pause) => {
            let title = "too many requests with an invalid token from this address";
            Refusal::new(ProblemKind::TooManyRequests, title)
                .hint("`buildbtw login` stores another one")
                .retry_after(pause)
        }
    }
    .into())
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::testing::{self, TestState};

    #[tokio::test]
    async fn refusals_match_snapshot() {
        let state = TestState::new().await;
        let address: IpAddr = [203, 0, 113, 1].into();
        let login = async |token: Option<&str>| {
            let token = token.map(str::to_owned);
            let identified = identify(&state, token, Some(address)).await;
            identified.err().unwrap()
        };
        let (missing, unknown) = (login(None).await, login(Some("x")).await);
        let peer = Some(Peer(SocketAddr::new(address, 1)));
        let webhook = || refuse_webhook(&state, peer, VerificationError::WrongToken);
        let rejected = webhook();
        while !state.failed_logins.too_many(address) {
            drop(webhook());
        }
        let text = testing::refusals([
            ("no token", missing),
            ("unknown token", unknown),
            ("many unknown tokens", login(Some("x")).await),
            ("rejected webhook", rejected),
            ("many rejected webhooks", webhook()),
        ]);
        insta::assert_snapshot!(text);
    }
}
