//! Who may write: every changing route stands behind one of these layers, so that a new handler
//! cannot forget to ask.

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::Response;
use buildbtw_gitlab::webhook::Forged;
use buildbtw_model::TokenScope;
use buildbtw_model::api::ProblemKind;

use crate::db::tokens::TokenRow;
use crate::error::{Error, Refusal};
use crate::planning::queue::Caller;
use crate::serve::Peer;
use crate::service::tokens::{authenticate, not_valid, recovery_hint};
use crate::state::AppState;

/// The token of a request that passed a layer. Handlers get it as an extension.
#[derive(Clone, Debug)]
pub struct Identity(pub TokenRow);

impl Identity {
    /// Whose turn it is when this token plans something.
    #[must_use]
    pub fn caller(&self) -> Caller {
        Caller::Token(self.0.id)
    }

    /// Whether it may do what clients do.
    #[must_use]
    pub fn is_client(&self) -> bool {
        self.0.scope.allows(TokenScope::Client)
    }
}

/// Lets requests of any valid token pass.
///
/// # Errors
/// When there is no valid token.
pub async fn any_token(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Result<Response, Error> {
    let identity = identify(&state, bearer(&request), peer(&request)).await?;
    Ok(pass(identity, request, next).await)
}

/// Lets all requests pass that carry a valid token or none.
///
/// # Errors
/// When there is a token that is not valid.
pub async fn optional(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Result<Response, Error> {
    let Some(token) = bearer(&request) else {
        return Ok(next.run(request).await);
    };
    let identity = identify(&state, Some(token), peer(&request)).await?;
    Ok(pass(identity, request, next).await)
}

/// Lets requests of clients pass.
///
/// # Errors
/// When there is no valid token, or it is of another scope.
pub async fn client(
    state: State<AppState>,
    request: Request,
    next: Next,
) -> Result<Response, Error> {
    require(TokenScope::Client, state, request, next).await
}

/// Lets requests of workers pass.
///
/// # Errors
/// When there is no valid token, or it is of another scope.
pub async fn worker(
    state: State<AppState>,
    request: Request,
    next: Next,
) -> Result<Response, Error> {
    require(TokenScope::Worker, state, request, next).await
}

/// Lets requests of those who work on attempts pass: workers, and jobs with the token of one attempt.
/// Whose attempt it is, the services look at.
///
/// # Errors
/// When there is no valid token, or it is of another scope.
pub async fn attempt(
    state: State<AppState>,
    request: Request,
    next: Next,
) -> Result<Response, Error> {
    require(TokenScope::Attempt, state, request, next).await
}

/// Lets requests of administrators pass.
///
/// # Errors
/// When there is no valid token, or it is of another scope.
pub async fn admin(
    state: State<AppState>,
    request: Request,
    next: Next,
) -> Result<Response, Error> {
    require(TokenScope::Admin, state, request, next).await
}

/// Whether a request has a valid token, for what anybody may read: a wrong one is as good as none.
pub(crate) fn has_valid_token(
    state: &AppState,
    request: &Request,
) -> impl Future<Output = Result<bool, Error>> + use<> {
    let (state, token) = (state.clone(), bearer(request));
    async move {
        match token {
            Some(token) => Ok(authenticate(&state, &token).await?.is_some()),
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
            "this needs a token of scope '{scope}', yours is '{}'",
            identity.0.scope
        );
        return Err(Refusal::new(ProblemKind::Forbidden, title)
            .hint(format!(
                "an administrator makes one with `buildbtw token create --scope {}`",
                if scope == TokenScope::Attempt {
                    TokenScope::Worker
                } else {
                    scope
                }
            ))
            .into());
    }
    Ok(pass(identity, request, next).await)
}

async fn pass(identity: Identity, mut request: Request, next: Next) -> Response {
    request.extensions_mut().insert(identity);
    next.run(request).await
}

/// What the sender of a webhook is told that was not accepted.
pub(crate) fn refuse_webhook(state: &AppState, peer: Option<Peer>, forged: Forged) -> Error {
    let pause = peer.and_then(|peer| state.failed_logins.note(peer.0.ip()));
    match pause {
        None => Refusal::new(
            ProblemKind::Unauthenticated,
            format!("the webhook is not accepted: {forged}"),
        )
        .hint("its secret token or signing token must be the one in the server's settings"),
        Some(pause) => Refusal::new(
            ProblemKind::TooManyRequests,
            "too many webhooks that are not accepted",
        )
        .retry_after(pause),
    }
    .into()
}

/// The token that a request carries (RFC 6750, section 2.1).
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

/// Where a request comes from.
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
        return Err(Refusal::new(ProblemKind::Unauthenticated, "this needs a token")
            .hint("`buildbtw login` stores one; administrators make them with `buildbtw token create`")
            .into());
    };
    if let Some(row) = authenticate(state, &token).await? {
        if let Some(peer) = peer {
            state.admission.authenticated(peer);
        }
        return Ok(Identity(row));
    }
    let pause = peer.and_then(|address| state.failed_logins.note(address));
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
            let title = "too many requests with a wrong token";
            Refusal::new(ProblemKind::TooManyRequests, title)
                .hint("`buildbtw login` stores another one")
                .retry_after(pause)
        }
    }
    .into())
}
