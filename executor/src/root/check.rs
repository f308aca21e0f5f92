//! Checks whether builds are possible, before a job relies on it.

use std::time::Duration;

use anyhow::Context as _;
use buildbtw_model::client::Client;

use super::state::State;
use crate::config::Config;
use crate::explanations;
use crate::retry::retry;

/// How long the server may be unreachable, for example while it restarts.
const RETRY_TIMEOUT: Duration = Duration::from_secs(15);
/// The longest pause between two tries.
const MAX_PAUSE: Duration = Duration::from_secs(3);

/// Checks host and server, and removes what killed builds left.
pub(super) async fn run(config: &Config, state: &State) -> anyhow::Result<()> {
    let number = |name| std::env::var(name).ok().and_then(|id| id.parse().ok());
    if let (Some(user), Some(group)) = (number("SUDO_UID"), number("SUDO_GID")) {
        state.create_jobs_dir(user, group)?;
    }
    config.name()?;
    let builder = config.builder(state.jobs());
    builder
        .requirements()
        .map_err(|missing| missing.explanation())?;
    if let Some(warning) = builder.warning() {
        tracing::warn!("{warning}");
    }
    config.git().check()?;
    state
        .reap()
        .await
        .context("cannot clean up after killed builds")?;
    reach(&config.client()?).await
}

async fn reach(client: &Client) -> anyhow::Result<()> {
    retry(
        RETRY_TIMEOUT,
        MAX_PAUSE,
        |_| {},
        || client.sources_overview(),
    )
    .await
    .map_err(|error| explanations::unusable_server(&error))?;
    Ok(())
}
