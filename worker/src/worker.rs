//! Runs a worker: cleans up after an earlier run, then runs the slots.

use std::sync::Arc;

use buildbtw_telemetry::{spawn_blocking_named, spawn_in, spawn_named};
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

use crate::config::Config;
use crate::context::Context;
use crate::error::WorkerError;
use crate::shutdown::Shutdown;
use crate::{metrics, resume, service_manager, slot};

/// Runs a worker until `shutdown` asks it to stop.
///
/// # Errors
/// When it cannot start or continue: the machine lacks a requirement, the scratch folder is in use, or the server
/// rejected the token. Outages of the server are not errors.
pub async fn run(config: Config, shutdown: impl Into<Shutdown>) -> Result<(), WorkerError> {
    let (jobs, grace) = (config.jobs.get(), config.grace);
    let listener = match config.metrics_listen {
        Some(address) => Some(buildbtw_metrics::listen(address, "--metrics-listen").await?),
        None => None,
    };
    // Blocking: it starts programs and creates folders.
    let context = spawn_blocking_named("prepare", move || Context::prepare(config)).await??;
    let context = Arc::new(context);
    let _metrics = listener.map(|listener| {
        if let Ok(address) = listener.local_addr() {
            tracing::info!(%address, "metrics are available");
        }
        let router = metrics::router(
            context.metrics.clone(),
            Arc::clone(&context.agent),
            context.scratch_dir.clone(),
        );
        AbortOnDropHandle::new(spawn_named(
            "metrics service",
            buildbtw_metrics::serve(listener, router),
        ))
    });
    let reaped = buildbtw_builder::reap(&context.scratch.sandbox())
        .await
        .map_err(|error| WorkerError::Reap { error })?;
    if reaped > 0 {
        tracing::info!("cleaned up {reaped} builds of an earlier run");
    }
    tracing::info!(
        worker.name = %context.name,
        server.url = context.agent.connection.client.server(),
        jobs,
        "worker started"
    );
    let _watchdog = service_manager::notify_watchdog();
    service_manager::ready(context.agent.connection.client.server(), jobs);
    let (phases, shutdown) = (Arc::clone(&context.phases), shutdown.into());
    let _supervisor = AbortOnDropHandle::new(spawn_named("supervisor", async move {
        phases.supervise(shutdown, grace).await;
    }));
    tokio::select! {
        settled = resume::run(&context) => settled?,
        // Outcomes that were not reported by then are reported at the next start.
        () = context.phases.drain_timeout() => {}
    }
    let mut slots = JoinSet::new();
    for _ in 0..jobs {
        spawn_in(&mut slots, "slot", slot::run(Arc::clone(&context)));
    }
    while let Some(result) = slots.join_next().await {
        if let Err(error) = result {
            context.phases.fail(error.into());
        }
    }
    context.phases.take_error()?;
    tracing::info!("worker stopped");
    Ok(())
}
