//! A slot of the worker, which claims and runs one build at a time.

use std::sync::Arc;

use buildbtw_model::TraceId;
use tracing::Instrument as _;

use crate::context::Context;
use crate::{attempt, claim};

/// Claims and runs builds until the worker stops claiming.
pub(crate) async fn run(context: Arc<Context>) {
    while !context.phases.drain.is_cancelled() {
        let claim = claim::next_id(&context);
        let claimed = tokio::select! {
            claimed = claim::wait(&context, claim) => claimed,
            () = context.phases.drain.cancelled() => return,
        };
        match claimed {
            Ok(Some(claimed)) => {
                // Of this level, so that the most important lines are never without it.
                let span = tracing::error_span!(
                    "attempt",
                    trace_id = %TraceId::from(claimed.attempt),
                    attempt.id = %claimed.attempt,
                    build.pkgbase = %claimed.pkgbase,
                    build.architecture = %claimed.architecture,
                    namespace.name = %claimed.namespace,
                );
                attempt::run(&context, claim, claimed)
                    .instrument(span)
                    .await;
            }
            // The claim's attempt has ended: continue with a new claim.
            Ok(None) => claim::remove(&context, claim),
            Err(error) => return context.phases.fail(error),
        }
    }
}
