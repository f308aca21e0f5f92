//! A fake server with one namespace, whose state the tests change.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use buildbtw_model::api::{
    AttemptSummary, BuildCounts, BuildDetail, BuildSummary, CreateNamespace, CreateToken,
    CreatedToken, Event, IterationDetail, NamespaceDetail, NamespaceSummary, Page, Problem,
    ProblemKind, RetriedBuilds, RetryBuilds, SetPriority, SourceRefs, SourceRepositorySummary,
    SourcesOverview, TaskOutage, TokenIdentity, TokenSummary,
};
use buildbtw_model::{AttemptId, BuildId, BuildStatus, IterationStatus, TokenId, TokenScope};
use futures_util::stream;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;

pub(crate) const TOKEN: &str = "bbtw_secret";

pub(crate) struct Inner {
    pub(crate) iteration: IterationDetail,
    pub(crate) events: Vec<Event>,
    pub(crate) created: Option<CreateNamespace>,
    pub(crate) log: Vec<u8>,
    pub(crate) attempt: AttemptSummary,
    pub(crate) outages: Vec<TaskOutage>,
    /// While this is set, every response is a 503.
    pub(crate) away: bool,
    /// Whether the namespace was deleted.
    pub(crate) deleted: bool,
    /// Streams that began before this generation are interrupted.
    generation: u64,
    clock: i64,
}

#[derive(Clone)]
pub(crate) struct Fake {
    inner: Arc<Mutex<Inner>>,
    changed: watch::Sender<u64>,
    pub(crate) url: String,
}

type ApiResult<T> = Result<Json<T>, Response>;

impl Fake {
    /// Starts a server with a namespace `space` and these builds, all ready.
    pub(crate) async fn start(pkgbases: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let fake = Self {
            inner: Arc::new(Mutex::new(Inner::new(pkgbases))),
            changed: watch::Sender::new(0),
            url: format!("http://{}", listener.local_addr().unwrap()),
        };
        let app = fake.router();
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        fake
    }

    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        let result = change(&mut self.inner.lock().unwrap());
        self.changed.send_modify(|version| *version += 1);
        result
    }

    /// Changes a build, a second after the change before.
    pub(crate) fn build(&self, pkgbase: &str, status: BuildStatus, message: Option<&str>) {
        self.change(|inner| inner.build(pkgbase, status, message));
    }

    /// Sets the states of many builds at once, without events: the first `failed` failed, the next `built` are built,
    /// and the others are blocked by the first.
    pub(crate) fn spread(&self, failed: usize, built: usize) {
        self.change(|inner| {
            let first = inner.iteration.builds[0].pkgbase.clone();
            for (index, build) in inner.iteration.builds.iter_mut().enumerate() {
                build.status = match index {
                    _ if index < failed => BuildStatus::Failed,
                    _ if index < failed + built => BuildStatus::Built,
                    _ => BuildStatus::Blocked,
                };
                if build.status == BuildStatus::Failed {
                    build.message = Some("build() failed:\nx.c:1: no y.h".into());
                }
                if build.status == BuildStatus::Blocked {
                    build.blocked_by = vec![first.clone()];
                }
            }
            inner.count();
        });
    }

    /// Ends the iteration.
    pub(crate) fn end(&self, status: IterationStatus) {
        self.change(|inner| {
            inner.iteration.summary.status = status;
            inner.iteration.summary.finished_at = Some(inner.now());
            inner.event(&format!("iteration.{status}"), None, None);
        });
    }

    /// Interrupts all streams.
    pub(crate) fn interrupt_streams(&self) {
        self.change(|inner| inner.generation += 1);
    }

    fn router(&self) -> Router {
        let api = Router::new()
            .route("/namespaces", get(list).post(create))
            .route("/namespaces/{name}", get(namespace).delete(delete))
            .route("/namespaces/{name}/iterations/{number}", get(iteration))
            .route("/namespaces/{name}/iterations/{number}/builds", get(builds))
            .route("/namespaces/{name}/events", get(events))
            .route("/namespaces/{name}/retry", post(retry))
            .route("/builds/{id}", get(build))
            .route("/attempts/{id}/log", get(log))
            .route("/sources", get(sources))
            .route("/sources/overview", get(sources_overview))
            .route("/sources/{pkgbase}/refs", get(refs))
            .route("/outages", get(outages))
            .route("/activity", get(activity))
            .route("/workers", get(workers))
            .route("/workers/{name}/drain", post(drain))
            .route("/namespaces/{name}/priority", put(prioritize))
            .route("/tokens", get(no_tokens).post(create_token))
            .route("/token", get(identity));
        Router::new().nest("/api/v1", api).with_state(self.clone())
    }

    fn check(&self) -> Result<(), Response> {
        let (away, deleted) = self.change_without_event(|inner| (inner.away, inner.deleted));
        match (away, deleted) {
            (true, _) => Err(problem(503, ProblemKind::Unavailable, "not now")),
            (false, true) => known("deleted"),
            (false, false) => Ok(()),
        }
    }

    fn change_without_event<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        change(&mut self.inner.lock().unwrap())
    }

    /// Streams what `next` returns, until it returns nothing or the streams are interrupted.
    fn stream<F>(&self, mut next: F) -> Response
    where
        F: FnMut(&mut Inner) -> Option<Vec<u8>> + Send + 'static,
    {
        let (fake, changed) = (self.clone(), self.changed.subscribe());
        let generation = self.change_without_event(|inner| inner.generation);
        let chunks = stream::unfold((fake, changed, next_boxed(move |i| next(i)), false), {
            move |(fake, mut changed, mut next, broken)| async move {
                loop {
                    if broken {
                        return None;
                    }
                    let (now, found) =
                        fake.change_without_event(|inner| (inner.generation, next(inner)));
                    if now != generation {
                        let error = Err(std::io::Error::other("broken off"));
                        return Some((error, (fake, changed, next, true)));
                    }
                    match found {
                        Some(chunk) if chunk.is_empty() => return None,
                        Some(chunk) => return Some((Ok(chunk), (fake, changed, next, false))),
                        None => changed.changed().await.unwrap(),
                    }
                }
            }
        });
        Response::new(Body::from_stream(chunks))
    }
}

type Next = Box<dyn FnMut(&mut Inner) -> Option<Vec<u8>> + Send>;

fn next_boxed(next: impl FnMut(&mut Inner) -> Option<Vec<u8>> + Send + 'static) -> Next {
    Box::new(next)
}

impl Inner {
    fn new(pkgbases: &[&str]) -> Self {
        let start = Timestamp::from_second(1_700_000_000).unwrap();
        let builds: Vec<BuildSummary> = pkgbases
            .iter()
            .zip(1..)
            .map(|(pkgbase, id)| summary(pkgbase, id))
            .collect();
        let counts = BuildCounts {
            ready: builds.len() as u64,
            ..BuildCounts::default()
        };
        Self {
            iteration: from_json(json!({
                "number": 1,
                "status": "running",
                "reason": "first",
                "counts": counts,
                "created_at": start,
                "origins": [{ "changeset": "libgreet/main", "commit": "a".repeat(40) }],
                "architectures": [{
                    "architecture": "x86_64",
                    "counts": counts,
                    "repository": {
                        "url": "http://server/repo/space/latest/x86_64",
                        "pacman_conf": "[space]\nServer = http://server/repo/x\n",
                    },
                }],
                "notes": [],
                "builds": builds,
            })),
            events: vec![],
            created: None,
            log: vec![],
            attempt: from_json(json!({
                "id": AttemptId::new(),
                "number": 1,
                "status": "running",
                "created_at": start,
            })),
            outages: vec![],
            away: false,
            deleted: false,
            generation: 0,
            clock: 1_700_000_000,
        }
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_second(self.clock).unwrap()
    }

    pub(crate) fn build(&mut self, pkgbase: &str, status: BuildStatus, message: Option<&str>) {
        self.clock += 1;
        let now = self.now();
        let mut builds = self.iteration.builds.iter_mut();
        let build = builds.find(|b| b.pkgbase.as_str() == pkgbase).unwrap();
        build.status = status;
        // For a build with packages, the message of the event is the version.
        let of_build = message.filter(|_| !status.has_packages());
        build.message = of_build.map(str::to_owned);
        match status {
            BuildStatus::Building => build.started_at = Some(now),
            _ => build.finished_at = Some(now),
        }
        let id = build.id;
        self.event(&format!("build.{status}"), Some((id, pkgbase)), message);
        self.count();
    }

    fn count(&mut self) {
        let count = |status: BuildStatus| {
            let builds = self.iteration.builds.iter();
            builds.filter(|build| build.status == status).count() as u64
        };
        let counts = BuildCounts {
            blocked: count(BuildStatus::Blocked),
            ready: count(BuildStatus::Ready),
            building: count(BuildStatus::Building),
            done: count(BuildStatus::Built),
            failed: count(BuildStatus::Failed),
            cancelled: count(BuildStatus::Cancelled),
        };
        self.iteration.summary.counts = counts;
        self.iteration.architectures[0].counts = counts;
    }

    fn event(&mut self, kind: &str, build: Option<(BuildId, &str)>, message: Option<&str>) {
        self.events.push(from_json(json!({
            "id": self.events.len() + 1,
            "namespace": "space",
            "kind": kind,
            "iteration": self.iteration.summary.number,
            "build": build.map(|(id, _)| id),
            "pkgbase": build.map(|(_, pkgbase)| pkgbase),
            "architecture": build.map(|_| "x86_64"),
            "message": message,
            "at": self.now(),
        })));
    }

    fn namespace(&self) -> NamespaceDetail {
        from_json(json!({
            "name": "space",
            "changesets": ["libgreet/main"],
            "scope": "transitive",
            "created_at": self.iteration.summary.created_at,
            "iteration": self.iteration.summary,
            "iterations": [self.iteration.summary],
            "web_url": "http://server/space",
        }))
    }
}

/// Parses a build from JSON, as from a server that sends required fields only.
fn summary(pkgbase: &str, id: i64) -> BuildSummary {
    from_json(json!({
        "id": id,
        "pkgbase": pkgbase,
        "architecture": "x86_64",
        "stage": 1,
        "level": 0,
        "status": "ready",
        "commit": "a".repeat(40),
        "version": "2.0-1",
        "reason": [pkgbase],
    }))
}

fn from_json<T: DeserializeOwned>(json: serde_json::Value) -> T {
    serde_json::from_value(json).unwrap()
}

pub(crate) fn problem(status: u16, kind: ProblemKind, title: &str) -> Response {
    let problem = Problem {
        kind,
        title: title.into(),
        status,
        detail: None,
        hint: (kind == ProblemKind::NotFound).then(|| "choose one of the others".to_owned()),
        trace_id: None,
    };
    let status = StatusCode::from_u16(status).unwrap();
    (status, Json(problem)).into_response()
}

fn authenticated(headers: &HeaderMap) -> Result<(), Response> {
    let sent = headers.get("authorization").map(|value| value.as_bytes());
    if sent == Some(format!("Bearer {TOKEN}").as_bytes()) {
        return Ok(());
    }
    Err(problem(
        401,
        ProblemKind::Unauthenticated,
        "a token is needed",
    ))
}

fn known(name: &str) -> Result<(), Response> {
    match name {
        "space" => Ok(()),
        _ => {
            let title = format!("namespace `{name}` not found");
            Err(problem(404, ProblemKind::NotFound, &title))
        }
    }
}

/// Lists the namespace, which the token `tester` created.
async fn list(
    State(fake): State<Fake>,
    Query(query): Query<HashMap<String, String>>,
) -> ApiResult<Page<NamespaceSummary>> {
    fake.check()?;
    let by = query.get("created_by");
    let mut items = vec![fake.change_without_event(|inner| inner.namespace().summary)];
    items.retain(|_| by.is_none_or(|by| by == "tester"));
    Ok(Json(Page { items, next: None }))
}

async fn create(
    State(fake): State<Fake>,
    headers: HeaderMap,
    Json(request): Json<CreateNamespace>,
) -> ApiResult<NamespaceDetail> {
    authenticated(&headers)?;
    if request
        .name
        .as_ref()
        .is_some_and(|name| name.as_str() == "taken")
    {
        return Err(problem(409, ProblemKind::AlreadyExists, "taken is taken"));
    }
    Ok(Json(fake.change(|inner| {
        inner.created = Some(request);
        inner.namespace()
    })))
}

/// Retries `libgreet`, which has a newer commit; builds that commit on request.
async fn retry(headers: HeaderMap, Json(request): Json<RetryBuilds>) -> ApiResult<RetriedBuilds> {
    authenticated(&headers)?;
    Ok(Json(from_json(json!({
        "iteration": if request.latest { 2 } else { 1 },
        "builds": [{ "id": 1, "pkgbase": "libgreet", "architecture": "x86_64", "stage": 1 }],
        "newer": [{
            "pkgbase": "libgreet", "from": "a".repeat(40), "to": "b".repeat(40),
        }],
        "is_new": request.latest,
    }))))
}

async fn namespace(
    State(fake): State<Fake>,
    Path(name): Path<String>,
) -> ApiResult<NamespaceDetail> {
    known(&name)?;
    Ok(Json(fake.change_without_event(|inner| inner.namespace())))
}

async fn iteration(
    State(fake): State<Fake>,
    Path((name, _number)): Path<(String, String)>,
) -> ApiResult<IterationDetail> {
    fake.check()?;
    known(&name)?;
    Ok(Json(
        fake.change_without_event(|inner| inner.iteration.clone()),
    ))
}

#[derive(serde::Deserialize)]
struct BuildsQuery {
    status: Option<BuildStatus>,
    package: Option<String>,
    limit: usize,
    cursor: Option<usize>,
}

async fn builds(
    State(fake): State<Fake>,
    Query(query): Query<BuildsQuery>,
) -> ApiResult<Page<BuildSummary>> {
    fake.check()?;
    let mut items = fake.change_without_event(|inner| inner.iteration.builds.clone());
    items.retain(|build| {
        let package = query.package.as_deref();
        query.status.is_none_or(|status| build.status == status)
            && package.is_none_or(|package| build.pkgbase.as_str() == package)
    });
    let start = query.cursor.unwrap_or_default().min(items.len());
    let end = items.len().min(start + query.limit);
    let next = (end < items.len()).then(|| end.to_string());
    let items = items.drain(start..end).collect();
    Ok(Json(Page { items, next }))
}

async fn sources() -> ApiResult<Page<SourceRepositorySummary>> {
    let source = |name: &str| {
        from_json(json!({
            "path": name, "pkgbase": name, "version": "1-1", "branch": "main", "problem": null,
            "commit": "a".repeat(40), "changed_at": "2026-11-30T10:00:00Z",
        }))
    };
    Ok(Json(Page {
        items: ["greet", "libgreet"].map(source).into(),
        next: None,
    }))
}

async fn sources_overview() -> ApiResult<SourcesOverview> {
    Ok(Json(from_json(json!({
        "usable": 2, "broken": 0, "last_scan_at": "2026-11-30T10:00:00Z",
    }))))
}

async fn refs(Path(pkgbase): Path<String>) -> ApiResult<SourceRefs> {
    Ok(Json(SourceRefs {
        default: Some("main".into()),
        branches: vec!["main".into(), format!("next-of-{pkgbase}")],
    }))
}

async fn delete(
    State(fake): State<Fake>,
    Path(name): Path<String>,
) -> Result<StatusCode, Response> {
    known(&name)?;
    fake.change(|inner| {
        inner.deleted = true;
        inner.generation += 1;
    });
    Ok(StatusCode::NO_CONTENT)
}

async fn events(
    State(fake): State<Fake>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Response> {
    fake.check()?;
    known(&name)?;
    let last = headers.get("last-event-id");
    let last: Option<usize> = last.map(|id| id.to_str().unwrap().parse().unwrap());
    let mut sent = last.unwrap_or_else(|| fake.change_without_event(|inner| inner.events.len()));
    Ok(fake.stream(move |inner| {
        let event = inner.events.get(sent)?;
        sent += 1;
        let json = serde_json::to_string(event).unwrap();
        Some(format!(": hello\nid: {}\ndata: {json}\n\n", event.id).into_bytes())
    }))
}

async fn build(State(fake): State<Fake>, Path(id): Path<BuildId>) -> ApiResult<BuildDetail> {
    fake.check()?;
    Ok(Json(fake.change_without_event(|inner| {
        BuildDetail {
            summary: inner
                .iteration
                .builds
                .iter()
                .find(|build| build.id == id)
                .unwrap()
                .clone(),
            namespace: "space".parse().unwrap(),
            iteration: 1,
            needs: vec![],
            needed_by: vec![],
            attempts: vec![inner.attempt.clone()],
            packages: vec![],
        }
    })))
}

#[derive(serde::Deserialize)]
struct LogQuery {
    offset: usize,
    follow: bool,
}

async fn log(
    State(fake): State<Fake>,
    Path(_id): Path<AttemptId>,
    Query(LogQuery { offset, follow }): Query<LogQuery>,
) -> Result<Response, Response> {
    fake.check()?;
    let mut offset = offset;
    Ok(fake.stream(move |inner| {
        let rest = inner.log.get(offset..).unwrap_or_default().to_vec();
        offset += rest.len();
        // An empty chunk would end the stream.
        let over = !follow || inner.attempt.status.is_final();
        (!rest.is_empty() || over).then_some(rest)
    }))
}

async fn create_token(
    headers: HeaderMap,
    Json(request): Json<CreateToken>,
) -> ApiResult<CreatedToken> {
    authenticated(&headers)?;
    Ok(Json(CreatedToken {
        summary: TokenSummary {
            id: TokenId(7),
            name: request.name,
            scope: request.scope,
            created_at: Timestamp::UNIX_EPOCH,
            expires_at: None,
            revoked_at: None,
        },
        token: "bbtw_new".into(),
    }))
}

async fn outages(State(fake): State<Fake>, headers: HeaderMap) -> ApiResult<Page<TaskOutage>> {
    authenticated(&headers)?;
    Ok(Json(Page {
        items: fake.change_without_event(|inner| inner.outages.clone()),
        next: None,
    }))
}

async fn no_tokens(headers: HeaderMap) -> ApiResult<Page<TokenSummary>> {
    authenticated(&headers)?;
    Ok(Json(Page {
        items: vec![],
        next: None,
    }))
}

/// Lists two activities of `tester` and one of the server, or none of others.
async fn activity(Query(query): Query<HashMap<String, String>>) -> Json<Value> {
    let all = json!([
        { "id": 3, "kind": "namespace.deleted", "actor": "tester", "namespace": "old",
          "at": "2026-11-29T10:02:00Z" },
        { "id": 2, "kind": "iteration.done", "namespace": "space", "iteration": 1, "at": "2026-11-29T10:01:00Z" },
        { "id": 1, "kind": "worker.drained", "actor": "tester", "worker": "w1", "message": "new memory",
          "at": "2026-11-29T10:00:00Z" },
    ]);
    let by = query.get("by");
    let is_listed = |item: &&Value| by.is_none_or(|by| item["actor"] == **by);
    let items: Vec<&Value> = all.as_array().unwrap().iter().filter(is_listed).collect();
    Json(json!({ "items": items }))
}

fn worker(name: &str, status: &str) -> Value {
    json!({
        "name": name, "status": status, "architectures": ["x86_64"], "jobs": 2,
        "builds": [{ "id": 1, "namespace": "space", "pkgbase": "libgreet", "architecture": "x86_64",
                     "started_at": null }],
        "machine": { "version": "0.1.0", "tags": ["big"], "cores": 16, "memory_mib": 65_536,
                     "build_memory_mib": 8_192 },
        "load": { "load": 2.25, "disk_free_bytes": 10_737_418_240_u64, "disk_total_bytes": 21_474_836_480_u64 },
        "last_contact_at": "2026-11-29T10:00:00Z",
    })
}

async fn workers() -> Json<Value> {
    Json(json!({ "items": [worker("w1", "building")] }))
}

async fn drain(headers: HeaderMap, Path(name): Path<String>) -> Result<Json<Value>, Response> {
    authenticated(&headers)?;
    if name != "w1" {
        return Err(problem(
            404,
            ProblemKind::NotFound,
            "worker `nosuch` not found",
        ));
    }
    Ok(Json(worker("w1", "draining")))
}

async fn prioritize(
    State(fake): State<Fake>,
    headers: HeaderMap,
    Json(request): Json<SetPriority>,
) -> ApiResult<NamespaceDetail> {
    authenticated(&headers)?;
    let mut namespace = fake.change_without_event(|inner| inner.namespace());
    namespace.summary.priority = request.priority;
    Ok(Json(namespace))
}

async fn identity(headers: HeaderMap) -> Result<Json<TokenIdentity>, Response> {
    authenticated(&headers)?;
    Ok(Json(TokenIdentity {
        name: "tester".into(),
        scope: TokenScope::Client,
    }))
}
