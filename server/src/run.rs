//! Starts the parts of the server, serves until shutdown, and stops in order.

mod explanations;
pub(crate) mod requirements;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use buildbtw_gitlab::Gitlab;
use buildbtw_model::Explanation;
use buildbtw_telemetry::spawn_named;
use tokio::net::TcpListener;
use tokio::signal::unix::Signal;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::actors;
use crate::address::reachable;
use crate::admission::Limits;
use crate::cli::RunArgs;
use crate::db::Database;
use crate::disk::Disk;
use crate::listening::{ensure_distinct, listen};
use crate::owner::unusable;
use crate::private;
use crate::repos::base::BaseRepositories;
use crate::router::{metrics_router, router};
use crate::serve::{MAX_STALL, serve};
use crate::service::record_traces::finish_traces;
use crate::service::reload::Reloadable;
use crate::service::{recover, tokens};
use crate::service_manager;
use crate::sources::{self, SourceConfig};
use crate::startup::StartupResources;
use crate::state::replans::Replans;
use crate::state::trace_recorder::TraceRecorder;
use crate::state::{AppState, CoreParts, Parts};
use crate::time::Clock;
use crate::wakers::Pending;

/// The database file in the data folder.
pub const DATABASE_FILE: &str = "buildbtw.sqlite3";
/// The database while `restore` fills the data folder: the name says that the rest is not complete.
pub const RESTORING_FILE: &str = "restoring.sqlite3";
/// The file in the data folder with the address that the server listens on.
pub const ADDRESS_FILE: &str = "address";
/// The file in the data folder that a running server has locked.
pub const LOCK_FILE: &str = "lock";
/// How long open requests may take after shutdown begins.
const GRACE: Duration = Duration::from_secs(10);
/// How often locking the data folder is tried, and the pause between two tries.
const LOCK_TRIES: usize = 10;
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// A server that has started.
pub struct Server {
    /// The address that it listens on.
    pub address: SocketAddr,
    /// The address of its metrics, if they have one of their own.
    pub metrics_address: Option<SocketAddr>,
    /// How long a client may leave a response unread before it is disconnected.
    pub longest_stall: Duration,
    state: AppState,
    listener: TcpListener,
    /// The address for metrics, if they have one of their own.
    metrics: Option<TcpListener>,
    tasks: JoinSet<&'static str>,
    sources_ready: oneshot::Receiver<()>,
    /// Held while the server runs: one server per data folder.
    _lock: fs_err::File,
    address_file: PathBuf,
}

impl Server {
    /// Opens everything and recovers the state of the last run, but does not serve yet. `clock` tells the time.
    ///
    /// # Errors
    /// When the settings, the data folder, the database or the address cannot be used; the message
    /// says what to do.
    pub async fn start(
        args: &RunArgs,
        clock: Clock,
        shutdown: CancellationToken,
    ) -> anyhow::Result<Self> {
        Self::start_with(StartupResources::default(), args, clock, shutdown).await
    }

    /// Starts like [`Server::start`], with what the program gives to the server besides its settings.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub async fn start_with(
        resources: StartupResources,
        args: &RunArgs,
        clock: Clock,
        shutdown: CancellationToken,
    ) -> anyhow::Result<Self> {
        let data = &args.data.data_dir;
        restrict(data)?;
        let lock = lock(data).await?;
        ensure_restored(data)?;
        let (source_config, webhook) = args.sources()?;
        let base = base_repositories(args)?;
        let limits = Limits::new(&args.connections.settings())?;
        let listener = listen(resources.socket, args.listen).await?;
        let address = listener.local_addr()?;
        let metrics = listen_for_metrics(args, address).await?;
        let config = args.config(address, webhook)?;
        let pipelines = requirements::pipelines(&config, &source_config, &clock)?;
        let reporter = requirements::reporter(args, &source_config)?;
        let disk = Disk::open(data, args.disk_reserve_mib)?;
        let reloadable = reloadable(args, &source_config);
        let database = open_database(data, clock).await?;
        tokens::ensure_admin_token(&database, data).await?;
        let replans = Replans::default();
        let gitlab = gitlab_of(&source_config);
        let (sources, watched) =
            sources::load(database.clone(), source_config, replans.sender()).await?;
        let core_parts = CoreParts {
            config,
            database,
            sources,
            replans,
            base,
            limits,
            disk,
            plan_limit: Duration::from_secs(args.plan_seconds.into()),
        };
        let mut parts = Parts::new(data, core_parts, shutdown)?;
        parts.pipelines = pipelines;
        parts.forge_reports = reporter.is_some().then(Pending::default);
        parts.traces = resources.traces.map(TraceRecorder::new);
        let state = AppState::new(parts);
        observe(gitlab.as_ref(), &state);
        recover::recover(state.attempt_parts()).await?;
        let (tasks, sources_ready) = actors::start(&state, watched, reporter, reloadable);
        let metrics_address = metrics.as_ref().map(TcpListener::local_addr);
        Ok(Self {
            address,
            metrics_address: metrics_address.transpose()?,
            longest_stall: MAX_STALL,
            state,
            listener,
            metrics,
            tasks,
            sources_ready,
            _lock: lock,
            address_file: data.join(ADDRESS_FILE),
        })
    }

    /// Returns the routes, for requests without a socket. They need the background tasks.
    pub fn router(&self) -> axum::Router {
        router(self.state.clone())
    }

    /// Reads settings again at each signal.
    pub fn reload_at(&self, mut hangups: Signal) {
        let reload = self.state.reload.clone();
        spawn_named("hangups", async move {
            while hangups.recv().await.is_some() {
                reload.wake();
            }
        });
    }

    /// Serves until shutdown. A background task that ends unexpectedly stops the server, so that a service
    /// manager can restart it.
    ///
    /// # Errors
    /// When a background task or the HTTP service ended unexpectedly.
    pub async fn serve(mut self) -> anyhow::Result<()> {
        let shutdown = self.state.shutdown.clone();
        self.serve_metrics();
        // Requests need an index that knows the sources.
        tokio::select! {
            _ = &mut self.sources_ready => {}
            // The sources cannot be stored; the service stops below.
            () = self.state.database.committer_ended() => {}
        }
        let admission = self.state.admission.clone();
        let router = router(self.state.clone());
        let service = serve(
            self.listener,
            router,
            admission,
            self.longest_stall,
            shutdown.clone(),
        );
        let mut service = spawn_named("HTTP service", service);
        write_address(&self.state, &self.address_file, self.address);
        let config = &self.state.config;
        tracing::info!(address = %self.address, url = config.url, "serving");
        service_manager::ready(self.address);
        if config.url_by_host {
            tracing::info!(
                "links use the host of each request; set --url to use one address for all"
            );
        }
        let failure = tokio::select! {
            // First: on shutdown tasks end, which is not a failure.
            biased;
            () = shutdown.cancelled() => None,
            result = self.tasks.join_next() => Some(match result {
                Some(result) => explanations::task_ended(result),
                None => explanations::ended("the last background task"),
            }),
            () = self.state.database.committer_ended() => {
                Some(explanations::ended("the task that commits writes"))
            }
            result = &mut service => Some(explanations::service_ended(result)),
        };
        shutdown.cancel();
        tracing::info!("stopping");
        service_manager::stopping();
        if !service.is_finished() && tokio::time::timeout(GRACE, &mut service).await.is_err() {
            tracing::warn!("some requests did not end within the grace period");
        }
        let _ = tokio::time::timeout(GRACE, async {
            while self.tasks.join_next().await.is_some() {}
        })
        .await;
        let _ = fs_err::remove_file(&self.address_file);
        if let Some(recorder) = &self.state.traces {
            finish_traces(&self.state.database, recorder).await;
        }
        self.state.database.close().await;
        failure.map_or(Ok(()), |why| Err(why.into()))
    }
}

/// Writes where programs on this machine reach the server.
fn write_address(state: &AppState, file: &Path, address: SocketAddr) {
    let text = format!("{}\n", reachable(address));
    if let Err(error) = state.repos.replace(file, text.as_bytes()) {
        // Only people and scripts on this machine read it; a full disk must not stop the server.
        tracing::warn!(
            error = error.to_string(),
            "cannot write the file `address` in the data folder"
        );
    }
}

async fn open_database(data: &Path, clock: Clock) -> Result<Database, Explanation> {
    let opened = Database::open(&data.join(DATABASE_FILE), clock).await;
    opened.map_err(|error| error.explanation())
}

async fn listen_for_metrics(
    args: &RunArgs,
    own: SocketAddr,
) -> anyhow::Result<Option<TcpListener>> {
    let Some(address) = args.metrics.metrics_listen else {
        return Ok(None);
    };
    ensure_distinct(own, address)?;
    let listener = buildbtw_metrics::listen(address, "--metrics-listen")
        .await
        .map_err(|error| Explanation::with_hint(error.to_string(), error.hint()))?;
    Ok(Some(listener))
}

/// Counts the requests to GitLab, and the spans that are exported.
fn observe(gitlab: Option<&Gitlab>, state: &AppState) {
    if let Some(recorder) = &state.traces {
        let metrics = state.metrics.traces.clone();
        recorder.traces.observe(Arc::new(metrics));
    }
    if let Some(gitlab) = gitlab {
        gitlab.observe(Arc::new(state.metrics.forge.clone()));
    }
}

fn base_repositories(args: &RunArgs) -> anyhow::Result<BaseRepositories> {
    match &args.base_repositories {
        Some(path) => Ok(BaseRepositories::read(path)?),
        None => Ok(BaseRepositories::default()),
    }
}

fn gitlab_of(sources: &SourceConfig) -> Option<Gitlab> {
    match sources {
        SourceConfig::Gitlab { gitlab, .. } => Some(gitlab.clone()),
        SourceConfig::Directory { .. } => None,
    }
}

impl Server {
    /// Serves metrics at their own address, if they have one, until the end of the process: monitoring must see a
    /// server that stops.
    fn serve_metrics(&mut self) {
        let Some(listener) = self.metrics.take() else {
            return;
        };
        let address = self.metrics_address.map(tracing::field::display);
        tracing::info!(address, "metrics are available");
        let router = metrics_router(self.state.clone());
        spawn_named("metrics service", buildbtw_metrics::serve(listener, router));
    }
}

/// Returns where the settings are that can be read again.
fn reloadable(args: &RunArgs, sources: &SourceConfig) -> Reloadable {
    Reloadable {
        base_repositories: args.base_repositories.clone(),
        gitlab_args: args.gitlab.clone(),
        gitlab: gitlab_of(sources),
    }
}

/// Makes the data folder private. Files that root had restored before an interruption belong to another user.
fn restrict(data: &Path) -> anyhow::Result<()> {
    let restricted = private::restrict_data_folder(data);
    if restricted.is_err() && data.join(RESTORING_FILE).exists() {
        ensure_restored(data)?;
    }
    restricted
}

/// Checks that no restore was interrupted in the data folder: its packages belong to a database that is not in use.
pub(crate) fn ensure_restored(data: &Path) -> anyhow::Result<()> {
    let is_restoring = data.join(RESTORING_FILE).try_exists();
    anyhow::ensure!(
        !is_restoring.map_err(|error| unusable(data, &error))?,
        explanations::restore_interrupted(data)
    );
    Ok(())
}

/// Locks the data folder against a second server.
///
/// Retries for a while: another server may be shutting down, and a child process holds a copy of the lock
/// between fork and exec.
pub(crate) async fn lock(data: &Path) -> anyhow::Result<fs_err::File> {
    let path = data.join(LOCK_FILE);
    let file = fs_err::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|error| explanations::not_writable(data, &error))?;
    for _ in 0..LOCK_TRIES {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(std::fs::TryLockError::WouldBlock) => tokio::time::sleep(LOCK_PAUSE).await,
            Err(std::fs::TryLockError::Error(error)) => {
                anyhow::bail!(explanations::not_lockable(data, &error));
            }
        }
    }
    anyhow::bail!(explanations::in_use(data))
}
