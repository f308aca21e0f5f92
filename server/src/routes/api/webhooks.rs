//! `/webhooks/gitlab`.

use axum::Extension;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use buildbtw_model::api::ProblemKind;
use jiff::Timestamp;

use crate::app_state::AppState;
use crate::auth;
use crate::error::{Error, Refusal};
use crate::gitlab::webhook::verify;
use crate::serve::Peer;
use crate::service::receive_webhook::{Received, receive_webhook};

/// Takes in a webhook. What does not concern this server is answered kindly: GitLab stops sending
/// webhooks that are refused.
pub(crate) async fn receive_from_gitlab(
    State(state): State<AppState>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode, Error> {
    let Some(config) = &state.config.webhook else {
        return Err(Refusal::new(
            ProblemKind::NotFound,
            "this server accepts no webhooks",
        )
        .hint("--gitlab-webhook-secret-file or --gitlab-webhook-signing-token-file turns them on")
        .into());
    };
    let checked = verify(&config.secrets, &headers, &body, Timestamp::now());
    let id = checked.map_err(|forged| {
        tracing::warn!(reason = %forged, "refused a webhook");
        auth::refuse_webhook(&state, peer.map(|Extension(peer)| peer), forged)
    })?;
    let received = receive_webhook(&state, config, id, &body).await?;
    Ok(match received {
        Received::Stored => StatusCode::OK,
        Received::Ignored => StatusCode::NO_CONTENT,
    })
}
