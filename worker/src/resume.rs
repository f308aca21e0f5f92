//! Settles what an earlier run of the worker left behind, before anything new is claimed: results
//! that were not reported yet, and attempts that it was killed in.

use std::sync::Arc;

use buildbtw_agent::{AttemptFolder, LogFile};
use buildbtw_builder::LogSink as _;
use buildbtw_model::FailureKind;
use buildbtw_model::api::Outcome;
use tokio::task::JoinSet;
use tracing::Instrument as _;

use crate::attempt;
use crate::context::Context;
use crate::error::WorkerError;
use crate::token::{self, Fate};

/// Reports everything that is left over, all at the same time.
pub(crate) async fn run(context: &Arc<Context>) -> Result<(), WorkerError> {
    let folders = context
        .scratch
        .left_over()
        .map_err(|source| WorkerError::Scratch {
            path: context.scratch.sandbox(),
            source,
        })?;
    let mut tasks = JoinSet::new();
    for folder in folders {
        let span = tracing::info_span!("attempt", attempt.id = %folder.attempt());
        tasks.spawn(settle(Arc::clone(context), folder).instrument(span));
    }
    while let Some(ended) = tasks.join_next().await {
        ended?;
    }
    Ok(())
}

async fn settle(context: Arc<Context>, folder: AttemptFolder) {
    match token::fate(&context, &folder).await {
        Fate::Report => {}
        Fate::Drop => return attempt::forget(folder).await,
        Fate::Keep => {
            tracing::warn!("not reported yet; left for the next start");
            return;
        }
    }
    let log = match LogFile::open(&folder.log()) {
        Ok(log) => Arc::new(log),
        Err(error) => {
            tracing::error!(%error, "cannot read what an earlier run left behind");
            return;
        }
    };
    let (outcome, save) = match folder.saved_outcome() {
        Some(outcome) => {
            tracing::info!("reporting the result of an earlier run");
            (outcome, false)
        }
        None => {
            tracing::warn!("reporting that an earlier run was cut off");
            log.write(b"\n==> buildbtw: the worker was restarted, which ended this build\n");
            let outcome = Outcome::Failed {
                kind: FailureKind::Infrastructure,
                message: "worker restarted".into(),
            };
            // Its log must not get that line twice.
            (outcome, true)
        }
    };
    log.close();
    let report = context.agent.resume(&folder, log, outcome, save).await;
    attempt::conclude(folder, &report).await;
}
