//! `/attempts`: claims and reports of workers.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use buildbtw_model::api::{
    AdoptAttempt, ClaimRequest, ClaimedBuild, ExchangeIdToken, ExchangedIdToken, HeartbeatResponse,
    LogAppended, Outcome, OutcomeAccepted, UploadedPackage, WorkerLoad,
};
use buildbtw_model::{AttemptId, PackageFileName, Sha256Digest};
use serde::Deserialize;
use utoipa::IntoParams;

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
use crate::state::capability::Capability;
use crate::state::claim_queue::Claimant;

/// Claims a build for a worker, and waits until there is one.
///
/// Repeating a claim with the same id returns the same attempt.
#[utoipa::path(
    post,
    path = "/attempts/claim",
    tag = "builders",
    request_body = ClaimRequest,
    responses(
        (status = 200, description = "The build to run", body = ClaimedBuild),
        (status = 204, description = "No build became ready in time"),
        (status = 409, description = "The claim was made with another token, or its attempt has ended"),
    )
)]
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
        capability: Capability::of(request.machine.as_ref()),
        expires_at: token.expires_at,
        server,
    };
    let build = claim_build::claim_build(state.claim_parts(), &claimant, request).await?;
    Ok(match build {
        Some(build) => Json(build).into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
    })
}

/// Continues an attempt that was claimed with a token that is no longer valid.
#[utoipa::path(
    post,
    path = "/attempts/{id}/adopt",
    tag = "builders",
    params(("id" = AttemptId, Path, description = "The attempt")),
    request_body = AdoptAttempt,
    responses(
        (status = 204, description = "The attempt belongs to this token now"),
        (status = 409, description = "The attempt has ended, or belongs to another builder now"),
    )
)]
pub(crate) async fn adopt_attempt(
    State(state): State<AppState>,
    Extension(Identity(token)): Extension<Identity>,
    extract::Path(id): extract::Path<AttemptId>,
    extract::Json(request): extract::Json<AdoptAttempt>,
) -> Result<StatusCode, Error> {
    adopt_attempt::adopt_attempt(&state.database, token.id, id, &request.worker).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Exchanges the ID token of a job in GitLab for its build.
///
/// After that, `token` of the request is valid for reports on the attempt. Repeating the request with the same two
/// tokens gives the same response.
#[utoipa::path(
    post,
    path = "/attempts/{id}/exchange",
    tag = "builders",
    params(("id" = AttemptId, Path, description = "The attempt")),
    request_body = ExchangeIdToken,
    responses(
        (status = 200, description = "The build to run", body = ExchangedIdToken),
        (status = 403, description = "The ID token is of another job"),
        (status = 409, description = "The attempt has ended, or belongs to another builder now"),
    )
)]
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

/// How busy the worker is; all of it or nothing.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct HeartbeatQuery {
    /// The load of the machine
    #[param(example = 1.5)]
    load: Option<f64>,
    /// The bytes that builds can still use in the worker's folder
    #[param(example = 1_073_741_824)]
    disk_free_bytes: Option<u64>,
    /// The size of the file system of that folder, in bytes
    #[param(example = 2_147_483_648_u64)]
    disk_total_bytes: Option<u64>,
}

impl HeartbeatQuery {
    fn load(&self) -> Option<WorkerLoad> {
        Some(WorkerLoad {
            load: self.load?,
            disk_free_bytes: self.disk_free_bytes?,
            disk_total_bytes: self.disk_total_bytes?,
        })
    }
}

/// Renews the lease of an attempt.
#[utoipa::path(
    post,
    path = "/attempts/{id}/heartbeat",
    tag = "builders",
    params(("id" = AttemptId, Path, description = "The attempt"), HeartbeatQuery),
    responses(
        (status = 200, description = "The lease, and whether to stop", body = HeartbeatResponse),
        (status = 409, description = "The attempt has ended, or belongs to another builder now"),
    )
)]
pub(crate) async fn renew_lease(
    State(state): State<AppState>,
    Extension(Identity(token)): Extension<Identity>,
    extract::Path(id): extract::Path<AttemptId>,
    extract::Query(query): extract::Query<HeartbeatQuery>,
    extract::NoBody: extract::NoBody,
) -> Result<Json<HeartbeatResponse>, Error> {
    let load = query.load();
    Ok(Json(
        heartbeat::heartbeat(state.attempt_parts(), token.id, id, load.as_ref()).await?,
    ))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct LogQuery {
    /// Where the chunk begins, in bytes
    #[param(example = 4096)]
    offset: u64,
}

/// Appends a chunk to the log of an attempt.
///
/// The part that the log already contains is skipped; a chunk that would leave a gap is not stored. In both cases the
/// sender continues at `length`.
#[utoipa::path(
    post,
    path = "/attempts/{id}/log",
    tag = "builders",
    params(("id" = AttemptId, Path, description = "The attempt"), LogQuery),
    request_body(content = String, content_type = "text/plain", description = "Any bytes, of at most 1 MiB",
        example = "==> Starting build()...\n"),
    responses(
        (status = 200, description = "The length of the log", body = LogAppended),
        (status = 409, description = "The attempt has ended, or belongs to another builder now"),
    )
)]
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

/// Stores the PKGBUILD of an attempt, as it is built.
#[utoipa::path(
    put,
    path = "/attempts/{id}/pkgbuild",
    tag = "builders",
    params(("id" = AttemptId, Path, description = "The attempt")),
    request_body(content = String, content_type = "text/plain", description = "The file, of at most 4 MiB",
        example = "pkgname=libgreet\npkgver=1.0\npkgrel=1.1\n"),
    responses(
        (status = 204, description = "It is stored"),
        (status = 409, description = "The attempt has ended, or belongs to another builder now"),
    )
)]
pub(crate) async fn keep_pkgbuild(
    State(state): State<AppState>,
    Extension(Identity(token)): Extension<Identity>,
    extract::Path(id): extract::Path<AttemptId>,
    extract::Bytes(text): extract::Bytes,
) -> Result<StatusCode, Error> {
    store_pkgbuild::store_pkgbuild(&state.database, &state.logs, token.id, id, &text).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct UploadQuery {
    /// The digest of the file
    sha256: Sha256Digest,
}

/// Uploads a package of an attempt.
///
/// With `Content-Length`, one that the disk has no room for is refused before it is received.
#[utoipa::path(
    put,
    path = "/attempts/{id}/packages/{file}",
    tag = "builders",
    params(
        ("id" = AttemptId, Path, description = "The attempt"),
        ("file" = PackageFileName, Path, description = "The name of the file"),
        UploadQuery,
    ),
    request_body(content = Vec<u8>, content_type = "application/octet-stream", description = "The file"),
    responses(
        (status = 200, description = "The file is complete", body = UploadedPackage),
        (status = 409, description = "The attempt has ended, or belongs to another builder now"),
        (status = 422, description = "The digest differs, or the build does not produce this package"),
        (status = 503, description = "The disk is below its reserve, or something else is temporarily unavailable"),
    )
)]
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

/// Reports how an attempt ended.
///
/// The report is stored when the server has answered; repeating it changes nothing.
#[utoipa::path(
    put,
    path = "/attempts/{id}/outcome",
    tag = "builders",
    params(("id" = AttemptId, Path, description = "The attempt"), Reporting),
    request_body = Outcome,
    responses(
        (status = 200, description = "The status of the attempt", body = OutcomeAccepted),
        (status = 409, description = "The attempt has ended, or belongs to another builder now"),
        (status = 422, description = "A package is missing or unexpected"),
    )
)]
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

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Reporting {
    /// Whether an infrastructure failure may be retried
    #[serde(default = "default_true")]
    retry: bool,
}

fn default_true() -> bool {
    true
}
