//! `/tokens` and `/token`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use buildbtw_model::TokenId;
use buildbtw_model::api::{CreateToken, CreatedToken, TokenIdentity, TokenSummary};

use serde::Deserialize;

use crate::auth::Identity;
use crate::error::Error;
use crate::routes::extract;
use crate::service::tokens;
use crate::state::AppState;

pub(crate) async fn create_token(
    State(state): State<AppState>,
    extract::Json(request): extract::Json<CreateToken>,
) -> Result<(StatusCode, Json<CreatedToken>), Error> {
    Ok((
        StatusCode::CREATED,
        Json(tokens::create(&state.database, &request).await?),
    ))
}

pub(crate) async fn list_tokens(
    State(state): State<AppState>,
) -> Result<Json<Vec<TokenSummary>>, Error> {
    Ok(Json(tokens::list(&state.database).await?))
}

#[derive(Deserialize)]
pub(crate) struct RevokeQuery {
    #[serde(default)]
    force: bool,
}

pub(crate) async fn revoke_token(
    State(state): State<AppState>,
    extract::Path(id): extract::Path<TokenId>,
    extract::Query(query): extract::Query<RevokeQuery>,
) -> Result<Json<TokenSummary>, Error> {
    Ok(Json(
        tokens::revoke(
            &state.database,
            &state.token_cache,
            &state.claims,
            id,
            query.force,
        )
        .await?,
    ))
}

pub(crate) async fn show_identity(
    Extension(Identity(token)): Extension<Identity>,
) -> Json<TokenIdentity> {
    Json(TokenIdentity {
        name: token.name,
        scope: token.scope,
    })
}
