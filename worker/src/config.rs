//! The configuration of a worker.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use buildbtw_builder::{Limits, SandboxConfig, SimulatedConfig};
use buildbtw_model::client::Client;
use buildbtw_model::{Architecture, Packager, WorkerName, WorkerTag};

/// The settings of a worker.
#[derive(Clone, Debug)]
pub struct Config {
    /// The client for the server, with the worker's token.
    pub client: Client,
    /// The name of the worker.
    pub name: WorkerName,
    /// The number of concurrent builds.
    pub jobs: NonZeroUsize,
    /// The architectures to build for.
    pub architectures: Vec<Architecture>,
    /// The tags of the worker.
    pub tags: Vec<WorkerTag>,
    /// The builder.
    pub builder: BuilderConfig,
    /// The folder for state that survives a restart. Only one worker at a time can use it.
    pub scratch_dir: PathBuf,
    /// `PACKAGER` of the packages, in place of the server's.
    pub packager: Option<Packager>,
    /// Resource limits of one build. The server sets the time limit.
    pub limits: Limits,
    /// How long running builds may continue after the worker was asked to stop.
    pub grace: Duration,
    /// The address for metrics, if they are served.
    pub metrics_listen: Option<SocketAddr>,
    /// How long reports may take after the builds were stopped. The next worker with the scratch folder sends those
    /// that were not sent by then.
    pub report_timeout: Duration,
    /// How long a claim waits for a build before it is repeated.
    pub claim_wait: Duration,
}

impl Config {
    /// The default wait of a claim: short enough for proxies, and long enough to be cheap.
    pub const CLAIM_WAIT: Duration = Duration::from_secs(30);
    /// The default time for reports after the builds were stopped.
    pub const REPORT_TIMEOUT: Duration = Duration::from_secs(3);
}

/// The builder of a worker.
#[derive(Clone, Debug)]
pub enum BuilderConfig {
    /// Builds in a sandbox, whose scratch folder the worker sets.
    Sandboxed(SandboxConfig),
    /// Creates tiny packages after a given time.
    Simulated(SimulatedConfig),
}
