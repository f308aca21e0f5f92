//! Whether builds are possible at all, before a job counts on it.

use std::time::Duration;

use anyhow::Context as _;
use buildbtw_model::client::Client;

use super::state::State;
use crate::config::Config;
use crate::persist::persist;

/// How long a server may be away, for example while it restarts.
const PATIENCE: Duration = Duration::from_secs(15);
/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// Checks host and server, and tidies up.
pub(super) async fn run(config: &Config, state: &State) -> anyhow::Result<()> {
    let number = |name| std::env::var(name).ok().and_then(|id| id.parse().ok());
    if let (Some(user), Some(group)) = (number("SUDO_UID"), number("SUDO_GID")) {
        state.make_jobs_of(user, group)?;
    }
    config.name()?;
    let builder = config.builder(state.jobs());
    builder.requirements()?;
    if let Some(warning) = builder.warning() {
        tracing::warn!("{warning}");
    }
    config.git().check()?;
    state
        .reap()
        .await
        .context("cleaning up after builds that were killed")?;
    reach(&Client::new(&config.server, None)?).await
}

async fn reach(client: &Client) -> anyhow::Result<()> {
    persist(
        PATIENCE,
        LONGEST_PAUSE,
        |_| {},
        || client.sources_overview(),
    )
    .await
    .map(drop)
    .context("the buildbtw server does not answer")
}
