//! `/webhooks/gitlab`.

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use buildbtw_gitlab::webhook::{Forged, Outline, Sender};
use buildbtw_model::api::ProblemKind;
use jiff::Timestamp;

use crate::admission::BodyOf;
use crate::auth;
use crate::error::{Error, Refusal};
use crate::routes::bodies;
use crate::serve::Peer;
use crate::service::receive_webhook::{Received, receive_webhook};
use crate::state::AppState;

/// The largest webhook: GitLab sends up to 25 MB (`REQUEST_BODY_SIZE_LIMIT`), and stops sending any after
/// some were refused.
const MAX_WEBHOOK: usize = 26 * 1024 * 1024;
/// What reading a webhook takes of memory, whatever its size: the pieces on their way, and the members
/// that are kept.
const READING: usize = 128 * 1024;

/// Takes in a webhook. What does not concern this server is answered kindly: GitLab stops sending
/// webhooks that are refused.
pub(crate) async fn receive_from_gitlab(
    State(state): State<AppState>,
    peer: Option<Extension<Peer>>,
    request: Request,
) -> Result<StatusCode, Error> {
    let Some(config) = &state.config.webhook else {
        return Err(Refusal::new(
            ProblemKind::NotFound,
            "this server accepts no webhooks",
        )
        .hint("--gitlab-webhook-secret-file or --gitlab-webhook-signing-token-file turns them on")
        .into());
    };
    let peer = peer.map(|Extension(peer)| peer);
    let refuse = |forged: Forged| {
        tracing::warn!(reason = %forged, "refused a webhook");
        auth::refuse_webhook(&state, peer, forged)
    };
    // What cannot be right is refused before its body, which may be large, is read.
    let sender = Sender::of(&config.secrets, request.headers(), Timestamp::now());
    let mut sender = sender.map_err(refuse)?;
    let unknown = peer.filter(|_| !sender.is_known());
    let mut share = unknown.map(|Peer(peer)| {
        bodies::Share::flat(&state.admission, BodyOf::Webhook, peer.ip(), READING)
    });
    let mut outline = Outline::default();
    let body = request.into_body();
    bodies::read(body, MAX_WEBHOOK, share.as_mut(), |piece| {
        sender.update(piece);
        outline.update(piece);
    })
    .await?;
    let id = sender.finish().map_err(refuse)?;
    if let Some(peer) = peer {
        state.admission.authenticated(peer.0.ip());
    }
    let received = receive_webhook(&state, config, id, outline).await?;
    Ok(match received {
        Received::Stored => StatusCode::OK,
        Received::Ignored => StatusCode::NO_CONTENT,
    })
}
