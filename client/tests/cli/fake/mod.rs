//! A fake server with one namespace, whose state the tests change.

mod builds;
mod inner;
mod machines;
mod namespaces;
mod people;
mod replies;
mod sources;

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use axum::routing::{delete, get, post, put};
use buildbtw_model::api::ProblemKind;
use buildbtw_model::{BuildStatus, IterationStatus};
use futures_util::stream;
use tokio::net::TcpListener;
use tokio::sync::watch;

pub(crate) use inner::{Inner, from_json};
pub(crate) use machines::worker;
pub(crate) use people::valid_tokens;
use replies::{known, problem};

pub(crate) const TOKEN: &str = "bbtw_secret";

#[derive(Clone)]
pub(crate) struct Fake {
    inner: Arc<Mutex<Inner>>,
    changed: watch::Sender<u64>,
    pub(crate) url: String,
}

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
            .route(
                "/namespaces",
                get(namespaces::list).post(namespaces::create),
            )
            .route(
                "/namespaces/{name}",
                get(namespaces::namespace)
                    .patch(namespaces::edit)
                    .delete(namespaces::delete),
            )
            .route(
                "/namespaces/{name}/iterations/{number}",
                get(namespaces::iteration),
            )
            .route(
                "/namespaces/{name}/iterations/{number}/builds",
                get(builds::builds),
            )
            .route("/namespaces/{name}/iterations", post(namespaces::plan))
            .route("/namespaces/{name}/cancel", post(namespaces::control))
            .route("/namespaces/{name}/resume", post(namespaces::control))
            .route("/namespaces/{name}/events", get(namespaces::events))
            .route("/namespaces/{name}/retry", post(namespaces::retry))
            .route("/namespaces/{name}/priority", put(namespaces::prioritize))
            .route("/builds/{id}", get(builds::build))
            .route("/attempts/{id}/log", get(builds::log))
            .route("/attempts/{id}/inputs", get(builds::inputs))
            .route("/sources", get(sources::sources))
            .route("/sources/overview", get(sources::sources_overview))
            .route("/sources/{pkgbase}/refs", get(sources::refs))
            .route("/outages", get(people::outages))
            .route("/activity", get(people::activity))
            .route("/workers", get(machines::workers))
            .route("/workers/{name}/drain", post(machines::drain))
            .route("/workers/{name}/resume", post(machines::resume))
            .route("/tokens", get(people::tokens).post(people::create_token))
            .route("/tokens/{id}", delete(people::revoke_token))
            .route("/token", get(people::identity));
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
