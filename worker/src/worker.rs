//! A worker from its start to its end: cleans up after the run before, then keeps its slots busy.

use std::sync::{Arc, Mutex};

use buildbtw_builder::{Builder, Limits};
use buildbtw_model::client::ClientError;
use buildbtw_model::{Architecture, ClaimId, WorkerName};
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

use crate::link::Link;
use crate::scratch::Scratch;
use crate::shutdown::Phases;
use crate::{BuilderConfig, Config, Shutdown, WorkerError, resume, slot};

/// What all tasks of a worker share.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) link: Link,
    pub(crate) builder: Builder,
    pub(crate) scratch: Scratch,
    pub(crate) phases: Arc<Phases>,
    pub(crate) name: WorkerName,
    pub(crate) architectures: Vec<Architecture>,
    pub(crate) packager: Option<String>,
    pub(crate) limits: Limits,
    pub(crate) claim_wait_s: u32,
    /// How many builds run at the same time.
    pub(crate) jobs: u32,
    /// Claims of an earlier run, to be repeated before new ones are made.
    pub(crate) open_claims: Mutex<Vec<ClaimId>>,
}

impl Context {
    /// The server no longer takes the token: nothing can be reported, so nothing shall be built.
    pub(crate) fn denied(&self, source: ClientError) {
        self.phases.fail(WorkerError::Denied {
            server: self.link.client.server().to_owned(),
            source,
        });
        // What is not yet reported is kept for when there is a better token.
        self.phases.leave.cancel();
    }

    /// An answer that did not come in time.
    pub(crate) fn too_slow(&self) -> ClientError {
        ClientError::Connection {
            server: self.link.client.server().to_owned(),
            reason: "it did not answer in time".into(),
        }
    }

    pub(crate) fn prepare(config: Config) -> Result<Self, WorkerError> {
        let scratch = Scratch::open(&config.scratch_dir)?;
        let builder = match config.builder {
            BuilderConfig::Simulated(simulated) => Builder::simulated(simulated),
            BuilderConfig::Sandboxed(mut sandbox) => {
                sandbox.scratch_root = scratch.sandbox();
                let builder = Builder::sandboxed(sandbox);
                builder.requirements()?;
                builder
            }
        };
        let unusable = |source| WorkerError::Scratch {
            path: config.scratch_dir.clone(),
            source,
        };
        let open_claims = scratch.open_claims().map_err(unusable)?;
        let phases = Arc::new(Phases::default());
        Ok(Self {
            link: Link::new(config.client, phases.leave.clone()),
            builder,
            scratch,
            phases,
            name: config.name,
            architectures: config.architectures,
            packager: config.packager,
            limits: config.limits,
            jobs: u32::try_from(config.jobs.get()).unwrap_or(u32::MAX),
            claim_wait_s: u32::try_from(config.claim_wait.as_secs()).unwrap_or(u32::MAX),
            open_claims: Mutex::new(open_claims),
        })
    }
}

/// Runs a worker until `shutdown` asks it to stop.
///
/// # Errors
/// When it cannot start, or going on makes no sense: the machine lacks something, the scratch folder
/// is in use, the server refuses the token. A server that cannot be reached is waited for.
pub async fn run(config: Config, shutdown: impl Into<Shutdown>) -> Result<(), WorkerError> {
    let (jobs, grace) = (config.jobs.get(), config.grace);
    // Looks at programs and makes folders: not for a thread that others wait for.
    let context = tokio::task::spawn_blocking(move || Context::prepare(config)).await??;
    let context = Arc::new(context);
    let reaped = buildbtw_builder::reap(&context.scratch.sandbox())
        .await
        .map_err(|source| WorkerError::Reap { source })?;
    if reaped > 0 {
        tracing::info!("cleaned up after {reaped} builds of an earlier run");
    }
    tracing::info!(
        worker.name = %context.name,
        server.url = context.link.client.server(),
        jobs,
        "worker started"
    );
    let (phases, shutdown) = (Arc::clone(&context.phases), shutdown.into());
    let _supervisor = AbortOnDropHandle::new(tokio::spawn(async move {
        phases.supervise(shutdown, grace).await;
    }));
    tokio::select! {
        settled = resume::run(&context) => settled?,
        // What is not reported by then stays for the next start; no build has to be waited for.
        () = context.phases.drained_for_long() => {}
    }
    let mut slots = JoinSet::new();
    for _ in 0..jobs {
        slots.spawn(slot::run(Arc::clone(&context)));
    }
    while let Some(ended) = slots.join_next().await {
        if let Err(error) = ended {
            context.phases.fail(error.into());
        }
    }
    context.phases.take_error()?;
    tracing::info!("worker stopped");
    Ok(())
}
