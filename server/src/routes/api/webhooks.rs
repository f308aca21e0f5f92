//! `/webhooks/gitlab`.

use std::fmt::Display;

use axum::extract::{FromRequest, Request, State};
use axum::http::StatusCode;
use buildbtw_gitlab::webhook::{Incoming, VerificationError, Webhook};
use buildbtw_model::api::ProblemKind;

use crate::admission::BodyPurpose;
use crate::auth;
use crate::error::{Error, Refusal};
use crate::routes::bodies;
use crate::serve::Peer;
use crate::service::receive_webhook::{Received, receive_webhook};
use crate::state::AppState;

/// Maximum size of a webhook: GitLab sends up to 25 MB (`REQUEST_BODY_SIZE_LIMIT`), and disables a webhook
/// after some failed.
const MAX_WEBHOOK: usize = 26 * 1024 * 1024;
/// Memory that reading a webhook takes, whatever its size: chunks in transit, and the members that are
/// kept.
const READ_MEMORY: usize = 128 * 1024;

/// Receives a webhook of GitLab.
///
/// Webhooks of no interest to this server succeed too: GitLab disables webhooks that fail.
#[utoipa::path(
    post,
    path = "/webhooks/gitlab",
    tag = "sources",
    request_body(content = inline(serde_json::Value), description = "What GitLab sends",
        example = json!({ "object_kind": "push", "project": { "id": 7, "path_with_namespace": "packages/libgreet" } })),
    responses(
        (status = 200, description = "It was stored"),
        (status = 204, description = "It is of no interest to this server"),
        (status = 404, description = "The server accepts no webhooks"),
    )
)]
pub(crate) async fn receive_from_gitlab(
    State(state): State<AppState>,
    GitlabWebhook { id, webhook }: GitlabWebhook,
) -> Result<StatusCode, Error> {
    let received = match (webhook, &state.config.webhook) {
        (Some(webhook), Some(config)) => {
            let on_gitlab = state.pipelines.as_ref();
            let (database, sources) = (&state.database, &state.sources);
            receive_webhook(database, sources, on_gitlab, &config.group, id, &webhook).await?
        }
        _ => Received::Ignored,
    };
    Ok(match received {
        Received::Stored => StatusCode::OK,
        Received::Ignored => StatusCode::NO_CONTENT,
    })
}

/// A verified webhook of GitLab.
pub(crate) struct GitlabWebhook {
    /// The sender's id of it.
    id: String,
    /// Its content, if it is of interest.
    webhook: Option<Webhook>,
}

impl FromRequest<AppState> for GitlabWebhook {
    type Rejection = Error;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Error> {
        let config = state.config.webhook.as_ref().ok_or_else(not_accepted)?;
        let peer = request.extensions().get::<Peer>().copied();
        let refuse = |error: VerificationError| {
            tracing::warn!(reason = %error, "rejected a webhook");
            auth::refuse_webhook(state, peer, error)
        };
        // Rejects what cannot be valid before reading the body, which may be large.
        let now = state.clock.now().into();
        let secrets = config.secrets.current();
        let incoming = Incoming::begin(&secrets, request.headers(), now);
        let mut incoming = incoming.map_err(refuse)?;
        let unknown = peer.filter(|_| !incoming.is_verified());
        let mut share = unknown.map(|Peer(peer)| {
            bodies::MemoryShare::flat(
                &state.admission,
                BodyPurpose::Webhook,
                peer.ip(),
                READ_MEMORY,
            )
        });
        let body = request.into_body();
        bodies::read(body, MAX_WEBHOOK, share.as_mut(), |piece| {
            incoming.update(piece);
        })
        .await?;
        let delivery = incoming.finish().map_err(refuse)?;
        if let Some(Peer(peer)) = peer {
            state.admission.authenticated(peer.ip());
        }
        let webhook = delivery.webhook.map_err(not_parsed)?;
        Ok(Self {
            id: delivery.id,
            webhook,
        })
    }
}

fn not_accepted() -> Error {
    Refusal::new(
        ProblemKind::NotFound,
        "webhooks are disabled on this server",
    )
    .hint("set --gitlab-webhook-secret-file or --gitlab-webhook-signing-token-file")
    .into()
}

/// Creates the refusal of a verified webhook that is not GitLab's.
fn not_parsed(error: impl Display) -> Error {
    let title = format!("cannot parse the webhook: {error}");
    Refusal::new(ProblemKind::InvalidRequest, title)
        .hint("use this address only for webhooks of GitLab, which are JSON objects")
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn refusals_match_snapshot() {
        let text = testing::refusals([
            ("server without a secret", not_accepted()),
            ("webhook that is not JSON", not_parsed("it is not JSON")),
        ]);
        insta::assert_snapshot!(text);
    }
}
