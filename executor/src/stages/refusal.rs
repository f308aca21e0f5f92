//! Tells the server that a build cannot be done before somebody has changed something. Without that it
//! would start another pipeline, and another one after that, each of which ends the same way.
//!
//! The front does this itself: the ID token is all it takes, and what is wrong may be that the root side
//! cannot be started.

use std::io::Write as _;

use buildbtw_model::api::Outcome;
use buildbtw_model::client::{Client, ClientError};
use buildbtw_model::{AttemptId, FailureKind};

use crate::config::Config;
use crate::contract::Environment;
use crate::exchange;
use crate::failure::Failure;
use crate::front::{Host, build};
use crate::id_token::IdToken;
use crate::root;

/// Passes the result of a stage on, and tells the server if it is final.
pub(super) fn report(
    host: &Host,
    environment: &Environment,
    result: Result<(), Failure>,
) -> Result<(), Failure> {
    if let Err(Failure::Final(message)) = &result
        && let Ok(job) = environment.job()
        // A job that is not from buildbtw has nothing to tell it.
        && let Ok((attempt, id_token)) = build::identity(&job)
        && let Err(failure) = tell(&host.config, attempt, id_token, message)
    {
        let _ = writeln!(
            std::io::stderr(),
            "WARNING: the server could not be told: {failure}"
        );
    }
    result
}

fn tell(
    config: &Config,
    attempt: AttemptId,
    id_token: IdToken,
    message: &str,
) -> Result<(), Failure> {
    root::complain();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(refuse(config, attempt, id_token, message))
}

/// Takes the attempt and reports its end.
async fn refuse(
    config: &Config,
    attempt: AttemptId,
    id_token: IdToken,
    message: &str,
) -> Result<(), Failure> {
    let client = Client::new(&config.server, None).map_err(anyhow::Error::from)?;
    let exchanged = exchange::run(client, attempt, id_token, config.name()?).await?;
    let attempt = exchanged.answer.build.attempt;
    let outcome = Outcome::Failed {
        kind: FailureKind::Infrastructure,
        message: message.to_owned(),
    };
    let report = async {
        // The server is to see the attempt running before it ends.
        exchange::persist(|| exchanged.client.heartbeat(attempt)).await?;
        exchange::persist(|| exchanged.client.report_final_failure(attempt, &outcome)).await?;
        Ok::<(), ClientError>(())
    };
    report
        .await
        .map_err(|error| anyhow::Error::from(error).into())
}
