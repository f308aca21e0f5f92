//! A server for one test, which can stop, crash and restart it.

use std::cell::OnceCell;
use std::path::PathBuf;
use std::time::Duration;

use buildbtw_model::api::{
    BuildSummary, CreateNamespace, CreateToken, Event, IterationDetail, SourceRepositorySummary,
};
use buildbtw_model::client::{Client, EventFilter, EventStream, SourceQuery};
use buildbtw_model::{BuildStatus, EventId, EventKind, IterationStatus, NamespaceName, TokenScope};
use buildbtw_server::cli::{Cli, Command};
use buildbtw_server::run::{DATABASE_FILE, Server};
use buildbtw_server::startup::StartupResources;
use buildbtw_server::time::Clock;
use buildbtw_telemetry::otlp::{OtlpSettings, Traces};
use clap::Parser as _;
use reqwest::{Method, RequestBuilder};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::clock::TestClock;
use super::{FakeWorker, PATIENCE, SourceTree, eventually, parse};

/// The settings of a server. Unset ones have their default.
#[derive(Clone, Debug)]
pub(crate) struct ServerOptions {
    pub(crate) architectures: &'static str,
    pub(crate) lease_seconds: u32,
    pub(crate) sweep_seconds: u32,
    /// The reserve of the disk. Most tests do not depend on the free space of their machine.
    pub(crate) disk_reserve_mib: u64,
    /// Flags for sources in GitLab instead of the folder.
    pub(crate) gitlab: Vec<String>,
    pub(crate) extra: Vec<String>,
    /// How long a response may stay unread. It is not a flag, so that it can be short in tests only.
    pub(crate) longest_stall: Option<Duration>,
    /// The clock, which is not a flag either.
    pub(crate) clock: TestClock,
    /// Where traces are exported to, by variables that are not those of the process of the tests.
    pub(crate) otlp: Vec<(&'static str, String)>,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            architectures: "x86_64",
            lease_seconds: 60,
            // Long enough that no change is detected by the resync.
            sweep_seconds: 3600,
            disk_reserve_mib: 0,
            gitlab: Vec::new(),
            extra: Vec::new(),
            longest_stall: None,
            clock: TestClock::default(),
            otlp: Vec::new(),
        }
    }
}

/// A server with its data and sources in a temporary folder.
pub(crate) struct TestServer {
    pub(crate) sources: SourceTree,
    folder: TempDir,
    pub(crate) options: ServerOptions,
    /// Creating a client is expensive, so one is shared by all unusual requests.
    http: reqwest::Client,
    running: Option<Running>,
}

struct Running {
    /// The server runs in its own threads, so that it can be killed at any moment.
    runtime: tokio::runtime::Runtime,
    serving: tokio::task::JoinHandle<anyhow::Result<()>>,
    shutdown: CancellationToken,
    address: String,
    public: OnceCell<Client>,
    admin: OnceCell<Client>,
}

impl TestServer {
    /// Starts a server over the repositories that `prepare` creates.
    pub(crate) async fn start(prepare: impl FnOnce(&SourceTree)) -> Self {
        Self::start_with(ServerOptions::default(), prepare).await
    }

    /// Starts a server with options.
    pub(crate) async fn start_with(
        options: ServerOptions,
        prepare: impl FnOnce(&SourceTree),
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let sources = SourceTree::new(folder.path().join("sources"));
        prepare(&sources);
        let mut this = Self {
            sources,
            folder,
            options,
            http: reqwest::Client::new(),
            running: None,
        };
        this.start_again().await;
        this
    }

    /// Returns the arguments it is started with.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let mut arguments: Vec<String> = ["buildbtw-server", "run", "--listen", "127.0.0.1:0"]
            .map(str::to_owned)
            .into();
        let mut add = |flag: &str, value: String| arguments.extend([flag.to_owned(), value]);
        add("--data-dir", self.data().display().to_string());
        if self.options.gitlab.is_empty() {
            add("--sources-dir", self.sources.folder().display().to_string());
        }
        add("--architectures", self.options.architectures.to_owned());
        add("--lease-seconds", self.options.lease_seconds.to_string());
        add("--sweep-seconds", self.options.sweep_seconds.to_string());
        let reserve = self.options.disk_reserve_mib.to_string();
        add("--disk-reserve-mib", reserve);
        arguments.extend(self.options.gitlab.iter().cloned());
        arguments.extend(self.options.extra.iter().cloned());
        arguments
    }

    /// Restarts it on the same data, at another address.
    pub(crate) async fn start_again(&mut self) {
        assert!(self.running.is_none(), "the server already runs");
        let arguments = self.arguments();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let shutdown = CancellationToken::new();
        let token = shutdown.clone();
        let longest_stall = self.options.longest_stall;
        let clock = self.options.clock.clock();
        let otlp = self.options.otlp.clone();
        let (sender, started) = tokio::sync::oneshot::channel();
        let serving = runtime.spawn(async move {
            let mut server = start_server_with(&arguments, &otlp, clock, token).await?;
            if let Some(limit) = longest_stall {
                server.longest_stall = limit;
            }
            let _ = sender.send(server.address);
            server.serve().await
        });
        // Connections wait in the socket's queue until the sources were read.
        let address = match started.await {
            Ok(address) => format!("http://{address}"),
            Err(_) => panic!("the server does not start: {:?}", serving.await),
        };
        self.running = Some(Running {
            runtime,
            serving,
            shutdown,
            address,
            public: OnceCell::new(),
            admin: OnceCell::new(),
        });
    }

    /// Stops it as SIGTERM does.
    pub(crate) async fn stop(&mut self) {
        let running = self.running.take().expect("the server does not run");
        running.shutdown.cancel();
        let result = tokio::time::timeout(PATIENCE, running.serving).await;
        result
            .expect("the server does not stop")
            .unwrap()
            .expect("shutdown failed");
        running.runtime.shutdown_background();
    }

    /// Ends it at an arbitrary moment without cleanup: like `kill -9`, as far as one process can.
    pub(crate) async fn crash(&mut self) {
        let running = self.running.take().expect("the server does not run");
        tokio::task::spawn_blocking(move || running.runtime.shutdown_timeout(PATIENCE))
            .await
            .unwrap();
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Creates a folder for other files of the test.
    pub(crate) fn scratch(&self, name: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs_err::create_dir_all(&path).unwrap();
        path
    }

    fn running(&self) -> &Running {
        self.running.as_ref().expect("the server does not run")
    }

    pub(crate) fn url(&self) -> &str {
        &self.running().address
    }

    /// Returns a client with a token, or without one.
    pub(crate) fn client(&self, token: Option<String>) -> Client {
        Client::new(self.url(), token).unwrap()
    }

    pub(crate) fn admin_token(&self) -> String {
        let file = self.data().join("admin-token");
        fs_err::read_to_string(file).unwrap().trim().to_owned()
    }

    /// Returns the client of the administrator, who may do everything.
    pub(crate) fn admin(&self) -> Client {
        let make = || self.client(Some(self.admin_token()));
        self.running().admin.get_or_init(make).clone()
    }

    /// Returns a client without a token.
    pub(crate) fn public(&self) -> Client {
        let make = || self.client(None);
        self.running().public.get_or_init(make).clone()
    }

    /// Creates a token and returns its text.
    pub(crate) async fn token(&self, scope: TokenScope) -> String {
        self.token_that_expires(scope, None).await
    }

    pub(crate) async fn token_that_expires(&self, scope: TokenScope, in_s: Option<u32>) -> String {
        let request = CreateToken {
            name: format!("a {scope}"),
            scope,
            expires_in_s: in_s,
        };
        self.admin().create_token(&request).await.unwrap().token
    }

    /// Returns a worker for x86_64 with a token of its own.
    pub(crate) async fn worker(&self, name: &str) -> FakeWorker {
        self.worker_for(name, &["x86_64"]).await
    }

    pub(crate) async fn worker_for(&self, name: &str, architectures: &[&str]) -> FakeWorker {
        let token = self.token(TokenScope::Worker).await;
        FakeWorker::new(self.url(), token, name, architectures)
    }

    /// Begins a request that the typed client would never send.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url()))
    }

    /// Begins such a request with the administrator's token.
    pub(crate) fn admin_request(&self, method: Method, path: &str) -> RequestBuilder {
        self.request(method, path).bearer_auth(self.admin_token())
    }

    /// Creates a namespace that builds changesets with all their dependents.
    pub(crate) async fn namespace(&self, name: &str, changesets: &[&str]) -> NamespaceName {
        let request = CreateNamespace {
            name: Some(parse(name)),
            ..new_namespace(changesets)
        };
        let created = self.admin().create_namespace(&request).await;
        created
            .unwrap_or_else(|error| panic!("{name}: {error}"))
            .summary
            .name
    }

    pub(crate) async fn iteration(&self, name: &str) -> IterationDetail {
        self.public().iteration(&parse(name), None).await.unwrap()
    }

    /// Returns the x86_64 build of a pkgbase.
    pub(crate) async fn build(&self, namespace: &str, pkgbase: &str) -> BuildSummary {
        self.build_for(namespace, pkgbase, "x86_64").await
    }

    pub(crate) async fn build_for(
        &self,
        namespace: &str,
        pkgbase: &str,
        architecture: &str,
    ) -> BuildSummary {
        let builds = self.iteration(namespace).await.builds;
        let found = builds.iter().find(|build| {
            build.pkgbase.as_str() == pkgbase && build.architecture.as_str() == architecture
        });
        match found {
            Some(build) => build.clone(),
            None => panic!("{namespace} has no build of {pkgbase}: {builds:?}"),
        }
    }

    /// Checks the status of every build of a namespace, and that there are no others.
    pub(crate) async fn expect_builds(&self, namespace: &str, expected: &[(&str, BuildStatus)]) {
        let builds = self.iteration(namespace).await.builds;
        let mut found: Vec<_> = builds
            .iter()
            .map(|build| (build.pkgbase.as_str(), build.status))
            .collect();
        let mut expected = expected.to_vec();
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected);
    }

    pub(crate) async fn expect_iteration(&self, namespace: &str, status: IterationStatus) {
        let iteration = self.iteration(namespace).await;
        assert_eq!(iteration.summary.status, status, "{:?}", iteration.builds);
        let over = iteration.summary.finished_at.is_some();
        assert_eq!(over, status.is_final(), "finished_at of {status}");
    }

    /// Returns the summary of the source repository at a path.
    pub(crate) async fn source(&self, path: &str) -> Option<SourceRepositorySummary> {
        let all = SourceQuery::default();
        let sources = self.public().sources(&all, None).await;
        sources
            .unwrap()
            .into_iter()
            .find(|source| source.path == path)
    }

    /// Waits until a source repository satisfies a condition.
    pub(crate) async fn source_that(
        &self,
        path: &str,
        what: &str,
        is: impl Fn(&SourceRepositorySummary) -> bool,
    ) -> SourceRepositorySummary {
        eventually(&format!("{path}: {what}"), async || {
            self.source(path).await.filter(|source| is(source))
        })
        .await
    }

    /// Waits until a source repository is at a version.
    pub(crate) async fn source_at(&self, path: &str, version: &str) -> SourceRepositorySummary {
        self.source_that(path, &format!("version {version}"), |source| {
            source.problem.is_none()
                && source
                    .version
                    .as_ref()
                    .is_some_and(|found| found.as_str() == version)
        })
        .await
    }

    /// Follows the events of a namespace, starting with the first.
    pub(crate) async fn follow(&self, namespace: &str) -> Following {
        self.follow_after(namespace, Some(EventId(0))).await
    }

    pub(crate) async fn follow_after(&self, namespace: &str, after: Option<EventId>) -> Following {
        let stream = self.public().events(&parse(namespace), after).await;
        Following {
            stream: stream.unwrap(),
        }
    }

    /// Follows the events of all namespaces.
    pub(crate) async fn follow_all(
        &self,
        filter: &EventFilter,
        after: Option<EventId>,
    ) -> Following {
        let stream = self.public().all_events(filter, after).await;
        Following {
            stream: stream.unwrap(),
        }
    }

    async fn database(&self) -> SqliteConnection {
        SqliteConnectOptions::new()
            .filename(self.data().join(DATABASE_FILE))
            .busy_timeout(PATIENCE)
            .connect()
            .await
            .unwrap()
    }

    /// Reads a number from the database.
    pub(crate) async fn number(&self, query: &'static str) -> i64 {
        let mut database = self.database().await;
        let number = sqlx::query_scalar(query).fetch_one(&mut database).await;
        database.close().await.unwrap();
        number.unwrap()
    }

    /// Advances the clock of the server, which wakes what waits for a time of it.
    pub(crate) fn advance(&self, by: Duration) {
        self.options.clock.advance(by);
    }

    /// Advances the clock until the lease of every attempt with a worker has expired.
    pub(crate) fn expire_leases(&self) {
        let lease = Duration::from_secs(self.options.lease_seconds.into());
        self.advance(lease + Duration::from_secs(1));
    }

    /// Changes the database directly: for states that only a crash leaves.
    pub(crate) async fn sql(&self, statement: &'static str) {
        let affected = self.run_sql(statement).await;
        assert!(affected > 0, "{statement} changed nothing");
    }

    /// Changes the schema directly: for statements of the server that must fail.
    pub(crate) async fn change_schema(&self, statement: &'static str) {
        self.run_sql(statement).await;
    }

    async fn run_sql(&self, statement: &'static str) -> u64 {
        let mut database = self.database().await;
        let result = sqlx::raw_sql(statement)
            .execute(&mut database)
            .await
            .unwrap();
        database.close().await.unwrap();
        result.rows_affected()
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            // Waiting is not allowed here: this may be dropped inside another runtime.
            running.runtime.shutdown_background();
        }
    }
}

/// Starts a server with these arguments, like its program.
pub(crate) async fn start_server(
    arguments: &[String],
    shutdown: CancellationToken,
) -> anyhow::Result<Server> {
    start_server_with(arguments, &[], Clock::default(), shutdown).await
}

async fn start_server_with(
    arguments: &[String],
    otlp: &[(&'static str, String)],
    clock: Clock,
    shutdown: CancellationToken,
) -> anyhow::Result<Server> {
    let Command::Run(args) = Cli::try_parse_from(arguments)?.command else {
        anyhow::bail!("these are not the arguments of a server");
    };
    let resources = StartupResources {
        traces: (!otlp.is_empty()).then(|| traces(otlp)).transpose()?,
        ..StartupResources::default()
    };
    Server::start_with(resources, &args, clock, shutdown).await
}

/// Starts to export traces, as the program does with variables of its environment.
fn traces(variables: &[(&'static str, String)]) -> anyhow::Result<Traces> {
    let read = |name: &str| {
        let found = variables.iter().find(|(other, _)| *other == name);
        found.map(|(_, value)| value.clone())
    };
    let settings = OtlpSettings::from_variables(read)?;
    let settings = settings.ok_or_else(|| anyhow::anyhow!("traces are disabled"))?;
    Ok(Traces::start(&settings, "buildbtw-server", "1.2.3")?)
}

/// Returns a request for a namespace of these changesets, with defaults otherwise.
pub(crate) fn new_namespace(changesets: &[&str]) -> CreateNamespace {
    let value = serde_json::json!({ "changesets": changesets });
    serde_json::from_value(value).unwrap()
}

/// A listener to the events of a namespace.
pub(crate) struct Following {
    stream: EventStream,
}

impl Following {
    pub(crate) async fn next(&mut self) -> Event {
        let next = tokio::time::timeout(PATIENCE, self.stream.next()).await;
        let next = next
            .expect("no event arrived")
            .expect("the event stream was interrupted");
        next.expect("the server ended the events")
    }

    /// Waits for an event of a kind.
    pub(crate) async fn until(&mut self, kind: &str) -> Event {
        let wanted = EventKind::from(kind);
        assert!(!matches!(wanted, EventKind::Unknown(_)), "{kind}");
        let mut seen = Vec::new();
        let wait = async {
            loop {
                let event = self.next().await;
                if event.kind == wanted {
                    return event;
                }
                seen.push(event.kind);
            }
        };
        match tokio::time::timeout(PATIENCE + Duration::from_secs(1), wait).await {
            Ok(event) => event,
            Err(_) => panic!("no event {kind}; events: {seen:?}"),
        }
    }

    /// Waits for an event of a kind that is about a pkgbase.
    pub(crate) async fn until_build(&mut self, kind: &str, pkgbase: &str) -> Event {
        loop {
            let event = self.until(kind).await;
            if event
                .pkgbase
                .as_ref()
                .is_some_and(|found| found.as_str() == pkgbase)
            {
                return event;
            }
        }
    }

    /// Returns the next event, or `None` when the server ends the stream.
    pub(crate) async fn end(&mut self) -> Option<Event> {
        let next = tokio::time::timeout(PATIENCE, self.stream.next()).await;
        next.expect("the events do not end").ok().flatten()
    }
}
