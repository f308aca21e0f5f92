//! `/tokens` and `/token`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use buildbtw_model::TokenId;
use buildbtw_model::api::{CreateToken, CreatedToken, Page, TokenIdentity, TokenSummary};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::auth::Identity;
use crate::error::Error;
use crate::routes::extract;
use crate::routes::paging::PageQuery;
use crate::service::tokens;
use crate::state::AppState;

/// Creates a token.
#[utoipa::path(
    post,
    path = "/tokens",
    tag = "tokens",
    request_body = CreateToken,
    responses((status = 201, description = "The token, with its secret", body = CreatedToken))
)]
pub(crate) async fn create_token(
    State(state): State<AppState>,
    extract::Json(request): extract::Json<CreateToken>,
) -> Result<(StatusCode, Json<CreatedToken>), Error> {
    Ok((
        StatusCode::CREATED,
        Json(tokens::create(&state.database, &request).await?),
    ))
}

/// Lists the tokens, the newest first.
#[utoipa::path(
    get,
    path = "/tokens",
    tag = "tokens",
    params(PageQuery),
    responses((status = 200, description = "A page", body = Page<TokenSummary>))
)]
pub(crate) async fn list_tokens(
    State(state): State<AppState>,
    extract::Query(query): extract::Query<PageQuery>,
) -> Result<Json<Page<TokenSummary>>, Error> {
    Ok(Json(tokens::list(&state.database, &query.into()).await?))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct RevokeQuery {
    /// Whether to revoke even the last valid admin token
    #[serde(default)]
    force: bool,
}

/// Revokes a token with immediate effect.
#[utoipa::path(
    delete,
    path = "/tokens/{id}",
    tag = "tokens",
    params(("id" = TokenId, Path, description = "The number of the token"), RevokeQuery),
    responses(
        (status = 200, description = "The token, now revoked", body = TokenSummary),
        (status = 409, description = "It is the last valid admin token"),
    )
)]
pub(crate) async fn revoke_token(
    State(state): State<AppState>,
    extract::Path(id): extract::Path<TokenId>,
    extract::Query(query): extract::Query<RevokeQuery>,
    extract::NoBody: extract::NoBody,
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

/// Returns the token that the request was sent with.
#[utoipa::path(
    get,
    path = "/token",
    tag = "tokens",
    responses((status = 200, description = "The token", body = TokenIdentity))
)]
pub(crate) async fn show_identity(
    Extension(Identity(token)): Extension<Identity>,
) -> Json<TokenIdentity> {
    Json(TokenIdentity {
        name: token.name,
        scope: token.scope,
    })
}
