//! What a worker has to know before it starts.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use buildbtw_builder::{Limits, SandboxConfig, SimulatedConfig};
use buildbtw_model::client::Client;
use buildbtw_model::{Architecture, Packager, WorkerName};

/// The settings of a worker.
#[derive(Clone, Debug)]
pub struct Config {
    /// The server, and the token to use there.
    pub client: Client,
    /// What the worker calls itself.
    pub name: WorkerName,
    /// How many builds run at the same time.
    pub jobs: NonZeroUsize,
    /// What it can build.
    pub architectures: Vec<Architecture>,
    /// How it builds.
    pub builder: BuilderConfig,
    /// Keeps what must survive a restart. One worker at a time uses it.
    pub scratch_dir: PathBuf,
    /// `PACKAGER` of the packages, when it is not what the server says.
    pub packager: Option<Packager>,
    /// What one build may use; the server says how long it may take.
    pub limits: Limits,
    /// How long running builds may go on after the worker was asked to stop.
    pub grace: Duration,
    /// How long reports may take once the builds were stopped. What is not reported by then is reported
    /// by the next worker that uses the scratch folder.
    pub last_reports: Duration,
    /// How long a claim waits for a build before it is repeated.
    pub claim_wait: Duration,
}

impl Config {
    /// How long a claim usually waits: below what proxies allow, and long enough to be cheap.
    pub const CLAIM_WAIT: Duration = Duration::from_secs(30);
    /// How long the last reports may usually take.
    pub const LAST_REPORTS: Duration = Duration::from_secs(3);
}

/// How a worker builds.
#[derive(Clone, Debug)]
pub enum BuilderConfig {
    /// For real. The worker sets the sandbox's scratch folder itself.
    Sandboxed(SandboxConfig),
    /// Tiny packages in a given time.
    Simulated(SimulatedConfig),
}
