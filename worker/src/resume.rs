//! Settles the attempts of an earlier run before new builds are claimed: outcomes that were not reported, and attempts
//! that were interrupted.

use std::sync::Arc;

use buildbtw_agent::{AttemptFolder, LogFile};
use buildbtw_builder::LogSink as _;
use buildbtw_model::api::Outcome;
use buildbtw_model::{FailureKind, TraceId};
use buildbtw_telemetry::spawn_in;
use tokio::task::JoinSet;
use tracing::Instrument as _;

use crate::attempt;
use crate::context::Context;
use crate::error::WorkerError;
use crate::token::{self, Decision};

/// Reports all attempts of an earlier run concurrently.
pub(crate) async fn run(context: &Arc<Context>) -> Result<(), WorkerError> {
    let folders = context
        .scratch
        .leftover_attempts()
        .map_err(|error| WorkerError::Scratch {
            path: context.scratch.sandbox(),
            error: error.to_string().into(),
        })?;
    let mut tasks = JoinSet::new();
    for folder in folders {
        let attempt = folder.attempt();
        let trace = TraceId::from(attempt);
        let span = tracing::error_span!("attempt", trace_id = %trace, attempt.id = %attempt);
        spawn_in(
            &mut tasks,
            "settle attempt",
            settle(Arc::clone(context), folder).instrument(span),
        );
    }
    while let Some(result) = tasks.join_next().await {
        result?;
    }
    Ok(())
}

async fn settle(context: Arc<Context>, folder: AttemptFolder) {
    match token::decide(&context, &folder).await {
        Decision::Report => {}
        Decision::Drop => return attempt::remove(folder).await,
        Decision::Keep => {
            tracing::warn!("the outcome will be reported at the next start");
            return;
        }
    }
    let log = match LogFile::open(&folder.log()) {
        Ok(log) => Arc::new(log),
        Err(error) => {
            tracing::error!(%error, "cannot open the log of an earlier run");
            return;
        }
    };
    let (outcome, save) = match folder.saved_outcome() {
        Some(outcome) => {
            tracing::info!("reporting the outcome of an earlier run");
            (outcome, false)
        }
        None => {
            tracing::warn!("reporting an attempt that an earlier run did not finish");
            log.write(b"\n==> buildbtw: the worker was restarted, which ended this build\n");
            let outcome = Outcome::failed(FailureKind::Infrastructure, "worker restarted");
            // Saved, so that another restart does not append the line again.
            (outcome, true)
        }
    };
    log.close();
    let report = context.agent.resume(&folder, log, outcome, save).await;
    attempt::remove_if_settled(folder, &report).await;
}
