//! A stand-in for a GitLab server, which buildbtw's GitLab client talks to in tests, the demo and benchmarks.
//!
//! It behaves like a real GitLab instance, its oddities included: throttled timestamps, pages whose rows move,
//! complexity limits of queries, lost webhooks. [`FakeGitlab::faults`] and [`FakeGitlab::webhooks`] inject faults.
//!
//! It also has CI: pipelines are created from a project's configuration, as far as buildbtw's templates use the syntax.
//! Their jobs are assigned to runners ([`FakeGitlab::create_runner`]) or moved by a test ([`FakeGitlab::take_job`],
//! [`FakeGitlab::finish_job`]). Jobs get ID tokens that can be verified with the published keys;
//! [`FakeGitlab::id_token`] creates those that must be rejected. The pages under `/` show everything to a user.

mod actions;
mod auth;
mod ci;
mod clock;
mod faults;
mod git_http;
mod graphql;
mod http;
mod oidc;
mod project_path;
mod repository;
mod requests;
mod rest;
mod runner_api;
mod state;
mod web;
mod webhooks;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, Result};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use actions::ci::{JobView, PipelineView};
pub use actions::import::ImportedText;
pub use clock::Clock;
pub use faults::limits::RateLimit;
pub use faults::{Drift, Fault, Faults, On, RuleId, Times};
pub use oidc::{IdToken, Signer};
pub use project_path::project_path;
pub use requests::RequestRecord;
pub use state::hooks::{HookId, HookOptions, HookScope};
pub use state::jobs::{Artifacts, JobId};
pub use state::pipelines::{PipelineId, Source};
pub use state::projects::ProjectId;
pub use state::roles::{Role, UnknownVariablesRole, VariablesRole};
pub use state::runners::{RunnerId, RunnerManager, RunnerOptions};
pub use state::status::{Status, UnknownStatus};
pub use webhooks::{Delivery, DeliveryId, Webhooks};

use faults::limits::Limits;
use requests::RequestLog;
use state::State;

/// The version that the stand-in reports.
pub const VERSION: &str = "19.4.0";

/// The options of a [`FakeGitlab`].
#[derive(Clone, Debug)]
pub struct Options {
    /// The address to listen on.
    pub listen: String,
    /// The folder of git repositories; a temporary one by default.
    pub root: Option<PathBuf>,
    /// The seed of ids and tokens: equal seeds give equal ones.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:0".to_owned(),
            root: None,
            seed: 1,
        }
    }
}

/// A running stand-in. Clones are handles to the same one; it stops when the last one is dropped.
#[derive(Clone)]
pub struct FakeGitlab {
    shared: Arc<Shared>,
    /// `None` in the handles of the server's own tasks, which would otherwise keep it alive.
    _stop_when_dropped: Option<Arc<StopWhenDropped>>,
}

struct Shared {
    url: String,
    root: PathBuf,
    clock: Clock,
    state: Mutex<State>,
    random: Mutex<rand::rngs::StdRng>,
    faults: Faults,
    limits: Limits,
    webhooks: Webhooks,
    requests: RequestLog,
    graphql: graphql::Schema,
    complexity_limits: Mutex<graphql::ComplexityLimits>,
    pushes: git_http::Pushes,
    ci: Mutex<ci::settings::Settings>,
    wakers: ci::Wakers,
    configurations: Mutex<ci::create::Configurations>,
    keys: oidc::keys::Keys,
    cancel: CancellationToken,
    /// Deleted with the stand-in.
    _temporary: Option<TempDir>,
}

struct StopWhenDropped(CancellationToken);

impl Drop for StopWhenDropped {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl FakeGitlab {
    /// Starts a stand-in in tasks of the current tokio runtime.
    pub async fn start(options: Options) -> Result<Self> {
        let listener = TcpListener::bind(&options.listen)
            .await
            .with_context(|| format!("cannot listen on {}", options.listen))?;
        let (root, temporary) = match options.root {
            Some(root) => {
                fs_err::create_dir_all(&root)?;
                (root, None)
            }
            None => {
                let folder = tempfile::tempdir()?;
                (folder.path().to_owned(), Some(folder))
            }
        };
        let cancel = CancellationToken::new();
        let url = format!("http://{}", listener.local_addr()?);
        let clock = Clock::default();
        let gitlab = Self {
            shared: Arc::new(Shared {
                webhooks: Webhooks::start(url.clone(), clock.clone(), cancel.clone())?,
                url,
                root,
                clock,
                state: Mutex::default(),
                random: Mutex::new(rand::SeedableRng::seed_from_u64(options.seed)),
                faults: Faults::default(),
                limits: Limits::default(),
                requests: RequestLog::default(),
                graphql: graphql::Schema::new()?,
                complexity_limits: Mutex::default(),
                pushes: git_http::Pushes::default(),
                ci: Mutex::default(),
                wakers: ci::Wakers::default(),
                configurations: Mutex::default(),
                keys: oidc::keys::Keys::new()?,
                cancel: cancel.clone(),
                _temporary: temporary,
            }),
            _stop_when_dropped: None,
        };
        gitlab.create_user("buildbtw");
        tokio::spawn(http::serve(listener, gitlab.clone()));
        tokio::spawn(ci::timeouts::watch(gitlab.clone()));
        Ok(Self {
            _stop_when_dropped: Some(Arc::new(StopWhenDropped(cancel))),
            ..gitlab
        })
    }

    /// Stops serving: connections are refused from now on.
    pub fn stop(&self) {
        self.shared.cancel.cancel();
    }

    /// Returns the base URL, without a trailing slash.
    pub fn url(&self) -> &str {
        &self.shared.url
    }

    /// Returns the git URL of a project.
    pub fn git_url(&self, full_path: &str) -> String {
        format!("{}/{full_path}.git", self.shared.url)
    }

    /// Returns the clock.
    pub fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    /// Returns the injected faults.
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// Returns the webhook deliveries and their faults.
    pub fn webhooks(&self) -> &Webhooks {
        &self.shared.webhooks
    }

    /// Waits until every queued delivery has succeeded or was abandoned.
    pub async fn deliveries_done(&self) {
        self.shared.webhooks.done().await;
    }

    /// Returns the requests that got a response or were cut off, oldest first.
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.shared.requests.all()
    }

    /// Clears the request log.
    pub fn clear_requests(&self) {
        self.shared.requests.clear();
    }

    /// Sets the rate limit of a user. There is none by default.
    pub fn set_rate_limit(&self, limit: Option<RateLimit>) {
        self.shared.limits.set(limit);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.shared.state)
    }

    fn repository_path(&self, project: ProjectId) -> PathBuf {
        self.shared.root.join(format!("{project}.git"))
    }
}

/// Locks a mutex, even after a panic elsewhere.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Converts an error of the git library.
fn broken(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow::anyhow!("{error}")
}
