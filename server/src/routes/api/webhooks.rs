//! `/webhooks/gitlab`.

use axum::Extension;
use axum::extract::{FromRequest as _, Request, State};
use axum::http::StatusCode;
use buildbtw_model::api::ProblemKind;
use jiff::Timestamp;

use crate::app_state::AppState;
use crate::auth;
use crate::error::{Error, Refusal};
use crate::gitlab::webhook::{Forged, check_headers, verify};
use crate::routes::extract;
use crate::serve::Peer;
use crate::service::receive_webhook::{Received, receive_webhook};

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
    check_headers(&config.secrets, request.headers()).map_err(refuse)?;
    let headers = request.headers().clone();
    let extract::Bytes(body) = extract::Bytes::from_request(request, &()).await?;
    let checked = verify(&config.secrets, &headers, &body, Timestamp::now());
    let id = checked.map_err(refuse)?;
    let received = receive_webhook(&state, config, id, &body).await?;
    Ok(match received {
        Received::Stored => StatusCode::OK,
        Received::Ignored => StatusCode::NO_CONTENT,
    })
}
