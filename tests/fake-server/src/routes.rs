//! The part of the API that workers and jobs use.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, Query, Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use buildbtw_model::api::{
    ClaimRequest, ExchangeIdToken, ExchangedIdToken, HeartbeatResponse, LogAppended, Outcome,
    OutcomeAccepted, ProblemKind, SourcesOverview, TokenIdentity, UploadedPackage,
};
use buildbtw_model::{
    AttemptId, AttemptStatus, PackageFileName, Sha256Digest, TokenScope, TraceParent,
};
use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use crate::problem::problem;
use crate::state::{Attempt, Fault, Shared};

pub(crate) fn router(shared: Shared) -> Router {
    let api = Router::new()
        .route("/attempts/claim", post(claim))
        .route("/attempts/{id}/adopt", post(adopt))
        .route("/attempts/{id}/heartbeat", post(heartbeat))
        .route("/attempts/{id}/log", post(append_log))
        .route("/attempts/{id}/packages/{file}", put(upload))
        .route("/attempts/{id}/pkgbuild", put(keep_pkgbuild))
        .route("/attempts/{id}/outcome", put(outcome))
        .route("/attempts/{id}/exchange", post(exchange))
        .route("/sources/overview", get(overview))
        .route("/token", get(identity))
        .route("/ping", get(|| async {}))
        .layer(middleware::from_fn_with_state(
            shared.clone(),
            inject_faults,
        ));
    Router::new().nest("/api/v1", api).with_state(shared)
}

/// Returns whether a request names the trace of the attempt that it is about, if it is about one.
fn names_trace_of_attempt(request: &Request) -> bool {
    let path = request.uri().path();
    let id = path
        .split_once("/attempts/")
        .and_then(|(_, rest)| rest.split('/').next()?.parse().ok());
    let Some(attempt): Option<AttemptId> = id else {
        return true;
    };
    let header = request.headers().get(TraceParent::HEADER);
    header.is_some_and(|header| *header == *TraceParent::of(attempt).to_string())
}

/// Returns a response that breaks off with its connection.
fn broken() -> Response {
    let error = futures_util::stream::iter([
        Ok::<_, std::io::Error>(Bytes::from_static(b"{")),
        Err(std::io::Error::other("gone")),
    ]);
    Response::new(Body::from_stream(error))
}

async fn inject_faults(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let fault = {
        let mut faults = shared.faults.lock().unwrap();
        faults.1 += 1;
        (faults.0)(faults.1, request.uri().path())
    };
    // The server takes requests without it, too; but programs of this version send it.
    if !names_trace_of_attempt(&request) {
        return problem(400, ProblemKind::InvalidRequest);
    }
    if request.uri().path().ends_with("/outcome") {
        shared.change(|inner| inner.outcome_requests += 1);
    }
    if request.uri().path().contains("/packages/") {
        shared.change(|inner| inner.upload_requests += 1);
    }
    if shared.change(|inner| inner.denied) {
        return problem(401, ProblemKind::Unauthenticated);
    }
    let response = async {
        match fault {
            Fault::None => next.run(request).await,
            Fault::Unavailable => problem(503, ProblemKind::Unavailable),
            Fault::LoseResponse => {
                next.run(request).await;
                broken()
            }
        }
    };
    tokio::select! {
        response = response => response,
        () = shared.killed.cancelled() => broken(),
    }
}

async fn claim(State(shared): State<Shared>, Json(request): Json<ClaimRequest>) -> Response {
    let mut changed = shared.changed.subscribe();
    let wait = async {
        loop {
            let found = shared.change_without_notifying(|inner| {
                if let Some(claimed) = inner.claims.get(&request.claim) {
                    return Some(claimed.clone());
                }
                let claimed = inner.queue.pop_front()?;
                inner.claims.insert(request.claim, claimed.clone());
                let known = inner.attempts.insert(claimed.attempt, Attempt::default());
                if known.is_some() {
                    inner
                        .unexpected_assignments
                        .push(format!("{} again", claimed.attempt));
                }
                Some(claimed)
            });
            if let Some(claimed) = found {
                shared.changed.send_modify(|version| *version += 1);
                return claimed;
            }
            changed.changed().await.unwrap();
        }
    };
    shared.change(|inner| inner.claim_requests += 1);
    if shared.change_without_notifying(|inner| inner.foreign_claims.contains(&request.claim)) {
        return problem(403, ProblemKind::Forbidden);
    }
    let limit = Duration::from_secs(request.wait_s.into());
    match tokio::time::timeout(limit, wait).await {
        Ok(claimed) => Json(claimed).into_response(),
        Err(_) => StatusCode::NO_CONTENT.into_response(),
    }
}

async fn exchange(
    State(shared): State<Shared>,
    Path(id): Path<AttemptId>,
    Json(request): Json<ExchangeIdToken>,
) -> Result<Json<ExchangedIdToken>, Response> {
    shared.change(|inner| {
        let key = (id, request.id_token.clone());
        inner.exchange_requests.push(request);
        let Some(build) = inner.exchanges.get(&key).cloned() else {
            let is_known = inner.exchanges.keys().any(|(attempt, _)| *attempt == id);
            return Err(match is_known {
                true => problem(403, ProblemKind::Forbidden),
                false => problem(404, ProblemKind::NotFound),
            });
        };
        inner.attempts.entry(build.attempt).or_default();
        let url = format!("https://buildbtw.example/builds/{}", build.attempt);
        Ok(Json(ExchangedIdToken { build, url }))
    })
}

async fn adopt(State(shared): State<Shared>, Path(id): Path<AttemptId>) -> Response {
    shared.change(|inner| match inner.attempts.get_mut(&id) {
        Some(attempt) if attempt.adoptable || !attempt.foreign => {
            attempt.foreign = false;
            StatusCode::NO_CONTENT.into_response()
        }
        Some(_) => problem(403, ProblemKind::Forbidden),
        None => problem(404, ProblemKind::NotFound),
    })
}

async fn identity(State(shared): State<Shared>) -> Json<TokenIdentity> {
    Json(TokenIdentity {
        name: "worker".to_owned(),
        scope: shared.change(|inner| inner.scope.unwrap_or(TokenScope::Worker)),
    })
}

async fn overview() -> Json<SourcesOverview> {
    Json(SourcesOverview {
        usable: 1,
        broken: 0,
        origin: String::new(),
        complete: true,
        last_scan_at: None,
        last_poll_at: None,
        progress: None,
        outage: None,
    })
}

async fn heartbeat(
    State(shared): State<Shared>,
    Path(id): Path<AttemptId>,
) -> Result<Json<HeartbeatResponse>, Response> {
    shared.with_attempt(id, |attempt| {
        if !attempt.outcomes.is_empty() {
            return Err(problem(409, ProblemKind::AttemptEnded));
        }
        attempt.heartbeats += 1;
        Ok(Json(HeartbeatResponse {
            // Short, so that tests do not wait long for the next heartbeat.
            lease_s: 0,
            cancel: attempt.cancel,
        }))
    })
}

#[derive(serde::Deserialize)]
struct Offset {
    offset: u64,
}

async fn append_log(
    State(shared): State<Shared>,
    Path(id): Path<AttemptId>,
    Query(Offset { offset }): Query<Offset>,
    chunk: Bytes,
) -> Result<Json<LogAppended>, Response> {
    assert!(chunk.len() <= 64 * 1024, "a chunk of {}", chunk.len());
    shared.with_attempt(id, |attempt| {
        let offset = usize::try_from(offset).unwrap();
        if let Some(known) = attempt.log.len().checked_sub(offset) {
            assert_eq!(
                attempt.log[offset..][..known.min(chunk.len())],
                chunk[..known.min(chunk.len())],
                "a chunk contradicts what was sent before"
            );
            attempt.log.extend(chunk.get(known..).unwrap_or_default());
        }
        Ok(Json(LogAppended {
            length: attempt.log.len() as u64,
        }))
    })
}

#[derive(serde::Deserialize)]
struct Digest {
    sha256: Sha256Digest,
}

async fn upload(
    State(shared): State<Shared>,
    Path((id, file_name)): Path<(AttemptId, PackageFileName)>,
    Query(Digest { sha256 }): Query<Digest>,
    bytes: Bytes,
) -> Result<Json<UploadedPackage>, Response> {
    let found = Sha256Digest::from_bytes(&Sha256::digest(&bytes).into());
    if found != sha256 {
        return Err(problem(422, ProblemKind::ChecksumMismatch));
    }
    shared.with_attempt(id, |attempt| {
        if file_name.pkgname().as_str() == "refused" {
            return Err(problem(422, ProblemKind::UnexpectedPackage));
        }
        let size = bytes.len() as u64;
        attempt.packages.insert(file_name.clone(), bytes);
        Ok(Json(UploadedPackage {
            file_name,
            size,
            sha256,
        }))
    })
}

async fn keep_pkgbuild(
    State(shared): State<Shared>,
    Path(id): Path<AttemptId>,
    text: Bytes,
) -> Result<(), Response> {
    shared.with_attempt(id, |attempt| {
        attempt.pkgbuild = Some(text);
        Ok(())
    })
}

#[derive(serde::Deserialize)]
struct Reporting {
    retry: Option<bool>,
}

async fn outcome(
    State(shared): State<Shared>,
    Path(id): Path<AttemptId>,
    Query(Reporting { retry }): Query<Reporting>,
    Json(outcome): Json<Outcome>,
) -> Result<Json<OutcomeAccepted>, Response> {
    shared.with_attempt(id, |attempt| {
        let status = match &outcome {
            Outcome::Succeeded { .. } => AttemptStatus::Succeeded,
            Outcome::Failed { .. } => AttemptStatus::Failed,
        };
        if attempt.heartbeats == 0 {
            return Err(problem(400, ProblemKind::InvalidRequest));
        }
        match attempt.outcomes.first() {
            Some(first) if *first != outcome => Err(problem(409, ProblemKind::AttemptEnded)),
            Some(_) => Ok(Json(OutcomeAccepted { status })),
            None => {
                if let Outcome::Succeeded { packages } = &outcome {
                    let missing = |p: &&_| !attempt.packages.contains_key(&file_name(p));
                    assert!(packages.iter().find(missing).is_none(), "not uploaded");
                }
                attempt.is_final = retry == Some(false);
                attempt.outcomes.push(outcome);
                Ok(Json(OutcomeAccepted { status }))
            }
        }
    })
}

fn file_name(package: &buildbtw_model::api::ReportedPackage) -> PackageFileName {
    package.file_name.clone()
}
