//! `/tokens` and `/token`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use buildbtw_model::api::{CreateToken, CreatedToken, TokenIdentity, TokenSummary};

use crate::app_state::AppState;
use crate::auth::Identity;
use crate::error::Error;
use crate::routes::extract;
use crate::service::tokens;

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

pub(crate) async fn revoke_token(
    State(state): State<AppState>,
    extract::Path(id): extract::Path<i64>,
) -> Result<Json<TokenSummary>, Error> {
    Ok(Json(tokens::revoke(&state, id).await?))
}

pub(crate) async fn show_identity(
    Extension(Identity(token)): Extension<Identity>,
) -> Json<TokenIdentity> {
    Json(TokenIdentity {
        name: token.name,
        scope: token.scope,
    })
}
