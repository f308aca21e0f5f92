//! Reports to the server that a build cannot succeed before this host or its job was reconfigured. Otherwise the
//! server would retry it with one pipeline after the other, each of which fails in the same way.
//!
//! The front reports it without the root side, which may be what cannot be started. It only needs the ID token.

use std::io::Write as _;

use buildbtw_model::api::Outcome;
use buildbtw_model::client::ClientError;
use buildbtw_model::{AttemptId, Explanation, FailureKind};

use crate::config::Config;
use crate::contract::Environment;
use crate::exchange;
use crate::failure::Failure;
use crate::front::{Host, build};
use crate::id_token::IdToken;
use crate::root;

/// Returns the result of a stage, and reports it to the server if it is a final failure.
pub(super) fn report(
    host: &Host,
    environment: &Environment,
    result: Result<(), Failure>,
) -> Result<(), Failure> {
    if let Err(Failure::Final { explanation, .. }) = &result
        && let Ok(job) = environment.job()
        // Without an attempt the job was not created by buildbtw, and there is nothing to report.
        && let Ok((attempt, id_token)) = build::identity(&job)
        && let Err(failure) = send(&host.config, attempt, id_token, explanation)
    {
        let _ = writeln!(
            std::io::stderr(),
            "WARNING: cannot report the failure to the server: {failure}"
        );
    }
    result
}

fn send(
    config: &Config,
    attempt: AttemptId,
    id_token: IdToken,
    explanation: &Explanation,
) -> Result<(), Failure> {
    root::init_logging();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(fail_attempt(config, attempt, id_token, explanation))
}

/// Starts the attempt and reports its final failure.
async fn fail_attempt(
    config: &Config,
    attempt: AttemptId,
    id_token: IdToken,
    explanation: &Explanation,
) -> Result<(), Failure> {
    let client = config.client().map_err(anyhow::Error::from)?;
    let exchanged = exchange::run(client, attempt, id_token, config.name()?).await?;
    let attempt = exchanged.response.build.attempt;
    let outcome = Outcome::failed(FailureKind::Infrastructure, explanation.clone());
    let report = async {
        // The attempt must be running before it can end.
        exchange::retry(|| exchanged.client.heartbeat(attempt)).await?;
        exchange::retry(|| exchanged.client.report_final_failure(attempt, &outcome)).await?;
        Ok::<(), ClientError>(())
    };
    report
        .await
        .map_err(|error| anyhow::Error::from(error).into())
}
