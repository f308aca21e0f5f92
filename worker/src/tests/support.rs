//! A worker for tests.

use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Duration;

use buildbtw_builder::{Limits, SimulatedConfig, SimulatedDuration};
use buildbtw_fake_server::FakeServer;
use buildbtw_model::client::Client;
use tokio::task::JoinHandle;

use crate::{BuilderConfig, Config, Shutdown, WorkerError, run};

/// These builds do not end by themselves.
pub(crate) const FOREVER: Duration = Duration::from_secs(24 * 60 * 60);

pub(crate) fn config(server: &FakeServer, scratch: &Path, duration: Duration) -> Config {
    Config {
        client: Client::new(&server.url(), Some("token".into())).unwrap(),
        name: "tester".parse().unwrap(),
        jobs: NonZeroUsize::MIN,
        architectures: vec!["x86_64".parse().unwrap()],
        tags: Vec::new(),
        builder: BuilderConfig::Simulated(SimulatedConfig {
            duration: SimulatedDuration::Fixed(duration),
            ..SimulatedConfig::default()
        }),
        scratch_dir: scratch.to_owned(),
        packager: None,
        limits: Limits::default(),
        grace: Duration::ZERO,
        metrics_listen: None,
        report_timeout: Duration::from_secs(120),
        claim_wait: Duration::from_secs(30),
    }
}

/// A running worker.
pub(crate) struct Worker {
    pub(crate) shutdown: Shutdown,
    task: JoinHandle<Result<(), WorkerError>>,
}

impl Worker {
    /// Starts a worker; waits until the previous one has released the scratch folder.
    pub(crate) fn start(config: Config) -> Self {
        let shutdown = Shutdown::default();
        let asked = shutdown.clone();
        let task = tokio::spawn(async move {
            loop {
                match run(config.clone(), asked.clone()).await {
                    Err(WorkerError::InUse { .. }) => tokio::task::yield_now().await,
                    result => return result,
                }
            }
        });
        Self { shutdown, task }
    }

    /// Ends it like `kill -9`: at any step, and without a message to the server.
    pub(crate) async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }

    /// Stops it and waits until it has ended.
    pub(crate) async fn stop(self) -> Result<(), WorkerError> {
        self.shutdown.graceful.cancel();
        self.task.await.unwrap()
    }

    /// Waits until it stops by itself.
    pub(crate) async fn wait(self) -> Result<(), WorkerError> {
        self.task.await.unwrap()
    }
}

/// Counts the files left in the scratch folder.
pub(crate) fn files_in(scratch: &Path, folder: &str) -> usize {
    scratch.join(folder).read_dir().unwrap().count()
}
