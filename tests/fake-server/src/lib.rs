//! A server that keeps its promises (claims, uploads and outcomes are idempotent, the log's length is
//! the truth) but answers late, twice, never, or after a restart. For tests of worker and executor.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::result_large_err,
    missing_docs,
    reason = "a failure here is a failed test, and the panic its message; refusals are whole answers"
)]

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::{Path, Query, Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router, body::Body};
use buildbtw_model::api::{
    ClaimRequest, ClaimedBuild, ExchangeIdToken, ExchangedIdToken, HeartbeatResponse, LogAppended,
    Outcome, OutcomeAccepted, Problem, ProblemKind, SourcesOverview, TokenIdentity,
    UploadedPackage,
};
use buildbtw_model::{
    AttemptId, AttemptStatus, ClaimId, PackageFileName, Sha256Digest, TokenScope,
};
use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Longer than any story takes on a slow and busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    /// Refused with 503 before it has any effect.
    Unavailable,
    /// It has its effect, but the answer never arrives.
    LoseAnswer,
}

/// Decides about each request by its number and path.
pub type Faults = fn(u64, &str) -> Fault;

#[derive(Clone, Debug, Default)]
pub struct Attempt {
    pub heartbeats: u32,
    pub log: Vec<u8>,
    /// The PKGBUILD that was kept.
    pub pkgbuild: Option<Bytes>,
    pub packages: BTreeMap<PackageFileName, Bytes>,
    /// Every outcome that was accepted as a new one.
    pub outcomes: Vec<Outcome>,
    /// What the heartbeats answer.
    pub cancel: bool,
    /// Given up by the server.
    pub ended: bool,
    /// Claimed with another token.
    pub foreign: bool,
    /// Whether that token is not valid any more, so that the attempt is handed over.
    pub adoptable: bool,
    /// Reported as one that nobody needs to try again.
    pub is_final: bool,
}

#[derive(Default)]
pub struct Inner {
    pub queue: VecDeque<ClaimedBuild>,
    pub claims: HashMap<ClaimId, ClaimedBuild>,
    pub attempts: BTreeMap<AttemptId, Attempt>,
    /// Attempts given to a second worker or never asked for.
    pub surprises: Vec<String>,
    /// How many requests for outcomes came in, answered or not.
    pub outcome_requests: u32,
    /// How many uploads were begun, answered or not.
    pub upload_requests: u32,
    pub claim_requests: u32,
    pub denied: bool,
    /// What the token is for; a worker's if nothing is said.
    pub scope: Option<TokenScope>,
    /// Claims that were made with another token.
    pub foreign_claims: Vec<ClaimId>,
    /// What jobs can exchange, by the attempt of the job and its ID token.
    pub exchanges: HashMap<(AttemptId, String), ClaimedBuild>,
    /// Every exchange that was asked for.
    pub exchange_requests: Vec<ExchangeIdToken>,
}

#[derive(Clone)]
struct Shared {
    inner: Arc<Mutex<Inner>>,
    changed: watch::Sender<u64>,
    faults: Arc<Mutex<(Faults, u64)>>,
    killed: CancellationToken,
}

pub struct FakeServer {
    shared: Shared,
    pub address: SocketAddr,
}

impl FakeServer {
    pub async fn start() -> Self {
        let mut server = Self {
            shared: Shared {
                inner: Arc::default(),
                changed: watch::Sender::new(0),
                faults: Arc::new(Mutex::new((|_, _| Fault::None, 0))),
                killed: CancellationToken::new(),
            },
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
        };
        server.restart().await;
        server
    }

    /// Breaks all connections and takes no new ones, like `kill -9`.
    pub fn kill(&self) {
        self.shared.killed.cancel();
    }

    /// Comes back at the same address, with what it had recorded.
    pub async fn restart(&mut self) {
        self.shared.killed = CancellationToken::new();
        let listener = loop {
            match TcpListener::bind(self.address).await {
                // The one before was not dropped yet.
                Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
                    tokio::task::yield_now().await;
                }
                bound => break bound.unwrap(),
            }
        };
        self.address = listener.local_addr().unwrap();
        let (app, killed) = (router(self.shared.clone()), self.shared.killed.clone());
        tokio::spawn(async move {
            tokio::select! {
                served = axum::serve(listener, app) => served.unwrap(),
                () = killed.cancelled() => {}
            }
        });
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn set_faults(&self, faults: Faults) {
        self.shared.faults.lock().unwrap().0 = faults;
    }

    pub fn change<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        self.shared.change(change)
    }

    /// Waits until something is true.
    pub async fn until(&self, what: &str, condition: impl Fn(&Inner) -> bool) {
        let mut changed = self.shared.changed.subscribe();
        let wait = async {
            while !condition(&self.shared.inner.lock().unwrap()) {
                changed.changed().await.unwrap();
            }
        };
        tokio::time::timeout(PATIENCE, wait)
            .await
            .unwrap_or_else(|_| panic!("never happened: {what}"));
    }

    pub fn attempt(&self, id: AttemptId) -> Attempt {
        self.change(|inner| inner.attempts.get(&id).cloned().unwrap_or_default())
    }
}

impl Shared {
    fn change<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        let result = change(&mut self.inner.lock().unwrap());
        self.changed.send_modify(|version| *version += 1);
        result
    }

    /// Works on an attempt that is not over.
    fn with_attempt<T>(
        &self,
        id: AttemptId,
        change: impl FnOnce(&mut Attempt) -> Result<T, Response>,
    ) -> Result<T, Response> {
        self.change(|inner| match inner.attempts.get_mut(&id) {
            None => Err(problem(404, ProblemKind::NotFound)),
            Some(attempt) if attempt.ended => Err(problem(409, ProblemKind::AttemptEnded)),
            Some(attempt) if attempt.foreign => Err(problem(403, ProblemKind::Forbidden)),
            Some(attempt) => change(attempt),
        })
    }
}

fn router(shared: Shared) -> Router {
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
        .layer(middleware::from_fn_with_state(shared.clone(), misbehave));
    Router::new().nest("/api/v1", api).with_state(shared)
}

fn problem(status: u16, kind: ProblemKind) -> Response {
    let problem = Problem {
        kind,
        title: format!("{kind:?}"),
        status,
        detail: None,
        hint: None,
    };
    let status = StatusCode::from_u16(status).unwrap();
    (status, Json(problem)).into_response()
}

/// An answer that breaks off, and with it the connection.
fn broken() -> Response {
    let error = futures_util::stream::iter([
        Ok::<_, std::io::Error>(Bytes::from_static(b"{")),
        Err(std::io::Error::other("gone")),
    ]);
    Response::new(Body::from_stream(error))
}

async fn misbehave(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let fault = {
        let mut faults = shared.faults.lock().unwrap();
        faults.1 += 1;
        (faults.0)(faults.1, request.uri().path())
    };
    if request.uri().path().ends_with("/outcome") {
        shared.change(|inner| inner.outcome_requests += 1);
    }
    if request.uri().path().contains("/packages/") {
        shared.change(|inner| inner.upload_requests += 1);
    }
    if shared.change(|inner| inner.denied) {
        return problem(401, ProblemKind::Unauthenticated);
    }
    let answer = async {
        match fault {
            Fault::None => next.run(request).await,
            Fault::Unavailable => problem(503, ProblemKind::Unavailable),
            Fault::LoseAnswer => {
                next.run(request).await;
                broken()
            }
        }
    };
    tokio::select! {
        answer = answer => answer,
        () = shared.killed.cancelled() => broken(),
    }
}

async fn claim(State(shared): State<Shared>, Json(request): Json<ClaimRequest>) -> Response {
    let mut changed = shared.changed.subscribe();
    let wait = async {
        loop {
            let found = shared.change_quietly(|inner| {
                if let Some(claimed) = inner.claims.get(&request.claim) {
                    return Some(claimed.clone());
                }
                let claimed = inner.queue.pop_front()?;
                inner.claims.insert(request.claim, claimed.clone());
                let known = inner.attempts.insert(claimed.attempt, Attempt::default());
                if known.is_some() {
                    inner.surprises.push(format!("{} again", claimed.attempt));
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
    if shared.change_quietly(|inner| inner.foreign_claims.contains(&request.claim)) {
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
        trouble: None,
    })
}

impl Shared {
    /// Without waking those who wait, who may be the caller.
    fn change_quietly<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        change(&mut self.inner.lock().unwrap())
    }
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
            // Short, so that stories in which a heartbeat has news do not take long.
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
