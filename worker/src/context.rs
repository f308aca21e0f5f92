//! The state that all tasks of a worker share.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use buildbtw_agent::{Agent, Connection, Interrupt};
use buildbtw_builder::Builder;
use buildbtw_model::api::WorkerMachine;
use buildbtw_model::client::Client;
use buildbtw_model::{Architecture, ClaimId, FailureKind, WorkerName, saturating};

use crate::config::{BuilderConfig, Config};
use crate::error::WorkerError;
use crate::machine;
use crate::metrics::Metrics;
use crate::scratch::Scratch;
use crate::shutdown::Phases;

/// The state that all tasks of a worker share.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) agent: Arc<Agent>,
    pub(crate) scratch: Scratch,
    pub(crate) phases: Arc<Phases>,
    pub(crate) metrics: Metrics,
    /// The folder for state that survives a restart.
    pub(crate) scratch_dir: PathBuf,
    pub(crate) name: WorkerName,
    pub(crate) architectures: Vec<Architecture>,
    /// Protocols for sources that this worker supports in addition to the standard ones.
    pub(crate) protocols: Vec<String>,
    /// What this machine is.
    pub(crate) machine: WorkerMachine,
    pub(crate) claim_wait_s: u32,
    /// The number of concurrent builds.
    pub(crate) jobs: u32,
    /// Claims of an earlier run, which are repeated before new ones are created.
    pub(crate) open_claims: Mutex<Vec<ClaimId>>,
}

impl Context {
    pub(crate) fn prepare(config: Config) -> Result<Self, WorkerError> {
        let scratch = Scratch::open(&config.scratch_dir)?;
        let builder = match config.builder {
            BuilderConfig::Simulated(simulated) => Builder::simulated(simulated),
            BuilderConfig::Sandboxed(mut sandbox) => {
                sandbox.scratch_root = scratch.sandbox();
                let builder = Builder::sandboxed(sandbox);
                builder.requirements()?;
                if let Some(warning) = builder.warning() {
                    tracing::warn!("{warning}");
                }
                builder
            }
        };
        let unusable = |error: std::io::Error| WorkerError::Scratch {
            path: config.scratch_dir.clone(),
            error: error.to_string().into(),
        };
        let open_claims = scratch.open_claims().map_err(unusable)?;
        let protocols = builder.source_protocols();
        let machine = machine::measure(&config.tags, config.limits.memory_bytes);
        let phases = Arc::new(Phases::new(config.report_timeout));
        let agent = Arc::new(Agent {
            connection: Arc::new(connection(config.client, &phases, &config.scratch_dir)),
            builder,
            packager: config.packager,
            limits: config.limits,
            interrupt: Interrupt {
                now: phases.kill.clone(),
                kind: FailureKind::Infrastructure,
                message: "worker shut down",
                reason: Arc::default(),
            },
        });
        Ok(Self {
            agent,
            scratch,
            phases,
            metrics: Metrics::new(config.jobs.get()),
            scratch_dir: config.scratch_dir,
            name: config.name,
            architectures: config.architectures,
            jobs: saturating(config.jobs.get()),
            protocols,
            machine,
            claim_wait_s: saturating(config.claim_wait.as_secs()),
            open_claims: Mutex::new(open_claims),
        })
    }
}

/// Creates the connection to the server. The worker stops when the server rejects its token, because results can no
/// longer be reported.
fn connection(client: Client, phases: &Arc<Phases>, scratch: &Path) -> Connection {
    let server = client.server().to_owned();
    let denied = Arc::clone(phases);
    let on_denied = move |error| {
        denied.fail(WorkerError::Denied {
            server: server.clone(),
            error,
        });
        // Pending reports are kept for the next start, with a valid token.
        denied.disconnect.cancel();
    };
    let scratch = scratch.to_owned();
    Connection::new(client, phases.disconnect.clone(), Box::new(on_denied))
        .with_load(Box::new(move || machine::load(&scratch)))
}
