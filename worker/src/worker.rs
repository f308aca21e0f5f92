//! A worker from its start to its end: cleans up after the run before, then keeps its slots busy.

use std::sync::Arc;

use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

use crate::config::Config;
use crate::context::Context;
use crate::error::WorkerError;
use crate::shutdown::Shutdown;
use crate::{resume, slot};

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
