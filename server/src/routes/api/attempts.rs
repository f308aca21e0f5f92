//! `/attempts`: claims and reports of workers.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use buildbtw_model::api::{
    AdoptAttempt, ClaimRequest, ExchangeIdToken, ExchangedIdToken, HeartbeatResponse, LogAppended,
    Outcome, OutcomeAccepted, UploadedPackage,
};
use buildbtw_model::{AttemptId, PackageFileName, Sha256Digest};
use serde::Deserialize;

use crate::address::BaseUrl;
use crate::auth::Identity;
use crate::error::Error;
use crate::routes::streaming::stream_permit;
use crate::routes::{bodies, extract};
use crate::serve::Peer;
use crate::service::claim_build;
use crate::service::report_outcome::{self, Report};
use crate::service::upload_package::{self, Upload};
use crate::service::{adopt_attempt, append_log, exchange_id_token, heartbeat, store_pkgbuild};
use crate::state::AppState;
use crate::state::claim_queue::Claimant;

pub(crate) async fn claim_build(
    State(state): State<AppState>,
    Extension(Identity(token)): Extension<Identity>,
    server: BaseUrl,
    peer: Option<Extension<Peer>>,
    extract::Json(request): extract::Json<ClaimRequest>,
) -> Result<Response, Error> {
    let _permit = stream_permit(&state, peer)?;
    let claimant = Claimant {
        claim: request.claim,
        worker: request.worker.clone(),
        token: token.id,
        expires_at: token.expires_at,
        server,
    };
    let build = claim_build::claim_build(state.claim_parts(), &claimant, request).await?;
    Ok(match build {
        Some(build) => Json(build).into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
    })
}

pub(crate) async fn adopt_attempt(
    State(state): State<AppState>,
    Extension(Identity(token)): Extension<Identity>,
    extract::Path(id): extract::Path<AttemptId>,
    extract::Json(request): extract::Json<AdoptAttempt>,
) -> Result<StatusCode, Error> {
    adopt_attempt::adopt_attempt(&state.database, token.id, id, &request.worker).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn exchange_id_token(
    State(state): State<AppState>,
    extract::Path(id): extract::Path<AttemptId>,
    peer: Option<Extension<Peer>>,
    bodies::AnonymousJson(request): bodies::AnonymousJson<ExchangeIdToken>,
) -> Result<Json<ExchangedIdToken>, Error> {
    let peer = peer.map(|Extension(Peer(address))| address.ip());
    Ok(Json(
        exchange_id_token::exchange_id_token(
            state.attempt_parts(),
            state.job_parts(),
            peer,
            id,
            &request,
        )
        .await?,
    ))
}

pub(crate) async fn renew_lease(
    State(state): State<AppState>,
    Extension(Identity(token)): Extension<Identity>,
    extract::Path(id): extract::Path<AttemptId>,
) -> Result<Json<HeartbeatResponse>, Error> {
    Ok(Json(
        heartbeat::heartbeat(state.attempt_parts(), token.id, id).await?,
    ))
}

#[derive(Deserialize)]
pub(crate) struct LogQuery {
    offset: u64,
}

pub(crate) async fn append_log(
    State(state): State<AppState>,
    Extension(Identity(token)): Extension<Identity>,
    extract::Path(id): extract::Path<AttemptId>,
    extract::Query(query): extract::Query<LogQuery>,
    extract::Bytes(chunk): extract::Bytes,
) -> Result<Json<LogAppended>, Error> {
    Ok(Json(
        append_log::append_log(state.attempt_parts(), token.id, id, query.offset, &chunk).await?,
    ))
}

pub(crate) async fn keep_pkgbuild(
    State(state): State<AppState>,
    Extension(Identity(token)): Extension<Identity>,
    extract::Path(id): extract::Path<AttemptId>,
    extract::Bytes(text): extract::Bytes,
) -> Result<StatusCode, Error> {
    store_pkgbuild::store_pkgbuild(&state.database, &state.logs, token.id, id, &text).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
pub(crate) struct UploadQuery {
    sha256: Sha256Digest,
}

pub(crate) async fn upload_package(
    State(state): State<AppState>,
    Extension(Identity(token)): Extension<Identity>,
    extract::Path((attempt, file_name)): extract::Path<(AttemptId, PackageFileName)>,
    extract::Query(query): extract::Query<UploadQuery>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<UploadedPackage>, Error> {
    let upload = Upload {
        attempt,
        file_name,
        sha256: query.sha256,
        size: content_length(&headers),
    };
    let mut body = body.into_data_stream();
    let uploaded = upload_package::upload_package(
        state.attempt_parts(),
        token.id,
        &upload,
        &state.shutdown,
        &mut body,
    )
    .await;
    bodies::drain_refused(&uploaded, body).await;
    Ok(Json(uploaded?))
}

/// Returns the announced size of a body.
fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers
        .get(header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

pub(crate) async fn report_outcome(
    State(state): State<AppState>,
    Extension(Identity(token)): Extension<Identity>,
    extract::Path(id): extract::Path<AttemptId>,
    extract::Query(Reporting { retry }): extract::Query<Reporting>,
    extract::Json(outcome): extract::Json<Outcome>,
) -> Result<Json<OutcomeAccepted>, Error> {
    let report = Report { outcome, retry };
    Ok(Json(
        report_outcome::report_outcome(state.attempt_parts(), token.id, id, &report).await?,
    ))
}

#[derive(serde::Deserialize)]
pub(crate) struct Reporting {
    /// Whether an infrastructure failure may be retried.
    #[serde(default = "default_true")]
    retry: bool,
}

fn default_true() -> bool {
    true
}
