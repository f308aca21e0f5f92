//! A worker from its start to its end: cleans up after the run before, then keeps its slots busy.

use std::sync::{Arc, Mutex};

use buildbtw_agent::{Agent, Interrupt, Link};
use buildbtw_builder::Builder;
use buildbtw_model::client::Client;
use buildbtw_model::{Architecture, ClaimId, FailureKind, WorkerName};
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

use crate::scratch::Scratch;
use crate::shutdown::Phases;
use crate::{BuilderConfig, Config, Shutdown, WorkerError, resume, slot};

/// What all tasks of a worker share.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) agent: Arc<Agent>,
    pub(crate) scratch: Scratch,
    pub(crate) phases: Arc<Phases>,
    pub(crate) name: WorkerName,
    pub(crate) architectures: Vec<Architecture>,
    /// The protocols that it fetches sources by, besides the usual ones.
    pub(crate) protocols: Vec<String>,
    pub(crate) claim_wait_s: u32,
    /// How many builds run at the same time.
    pub(crate) jobs: u32,
    /// Claims of an earlier run, to be repeated before new ones are made.
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
        let unusable = |source| WorkerError::Scratch {
            path: config.scratch_dir.clone(),
            source,
        };
        let open_claims = scratch.open_claims().map_err(unusable)?;
        let protocols = builder.source_protocols();
        let phases = Arc::new(Phases::new(config.last_reports));
        let agent = Arc::new(Agent {
            link: link(config.client, &phases),
            builder,
            packager: config.packager,
            limits: config.limits,
            interrupt: Interrupt {
                now: phases.kill.clone(),
                kind: FailureKind::Infrastructure,
                message: "worker shut down",
                known: Arc::default(),
            },
        });
        Ok(Self {
            agent,
            scratch,
            phases,
            name: config.name,
            architectures: config.architectures,
            jobs: u32::try_from(config.jobs.get()).unwrap_or(u32::MAX),
            protocols,
            claim_wait_s: u32::try_from(config.claim_wait.as_secs()).unwrap_or(u32::MAX),
            open_claims: Mutex::new(open_claims),
        })
    }
}

/// Stops the worker when the server takes its token no more: nothing can be reported, so nothing
/// shall be built.
fn link(client: Client, phases: &Arc<Phases>) -> Link {
    let server = client.server().to_owned();
    let denied = Arc::clone(phases);
    let on_denied = move |source| {
        denied.fail(WorkerError::Denied {
            server: server.clone(),
            source,
        });
        // What is not yet reported is kept for when there is a better token.
        denied.leave.cancel();
    };
    Link::new(client, phases.leave.clone(), Box::new(on_denied))
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
        server.url = context.agent.link.client.server(),
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
