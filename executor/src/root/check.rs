//! Whether builds are possible at all, before a job counts on it.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use buildbtw_model::client::{Backoff, Client};

use super::state::State;
use crate::config::Config;

/// How long a server may be away, for example while it restarts.
const PATIENCE: Duration = Duration::from_secs(15);

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
    let deadline = Instant::now() + PATIENCE;
    let mut backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(3));
    loop {
        let error = match client.sources_overview().await {
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        let pause = backoff.next_pause();
        if !error.is_transient() || Instant::now() + pause > deadline {
            return Err(error).context("the buildbtw server does not answer");
        }
        tokio::time::sleep(pause).await;
    }
}
