//! Tells the server that a build was not even begun, and will not be before somebody has changed
//! something.

use buildbtw_model::api::Outcome;
use buildbtw_model::client::{Client, ClientError};
use buildbtw_model::{AttemptId, FailureKind};

use super::IdToken;
use super::exchange;
use crate::config::Config;
use crate::failure::Failure;

/// Takes the attempt and reports its end.
pub(super) async fn run(
    config: &Config,
    attempt: AttemptId,
    id_token: IdToken,
    message: String,
) -> Result<(), Failure> {
    let client = Client::new(&config.server, None).map_err(anyhow::Error::from)?;
    let exchanged = exchange::run(client, attempt, id_token, config.name()?).await?;
    let attempt = exchanged.answer.build.attempt;
    let outcome = Outcome::Failed {
        kind: FailureKind::Infrastructure,
        message,
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
