//! Reads settings again when an administrator asks for it.

use std::time::Duration;

use super::runner::{Actor, Cause, Next};
use crate::outage::{Failure, Outage, Pauses};
use crate::service::reload::{Reloadable, reload};
use crate::service_manager;
use crate::state::AppState;
use crate::time::Clock;

/// The pause after a failure, of which this actor has none: the log has invalid settings.
const PAUSE_AFTER_ERROR: Duration = Duration::from_secs(1);

/// The actor that reads settings again.
pub(crate) struct Reloading {
    state: AppState,
    settings: Reloadable,
}

impl Reloading {
    pub(crate) fn new(state: AppState, settings: Reloadable) -> Self {
        Self { state, settings }
    }

    pub(crate) fn outage(clock: &Clock) -> Outage {
        Outage::new(
            "cannot read settings again",
            Pauses::constant(PAUSE_AFTER_ERROR),
            clock,
        )
    }
}

impl Actor for Reloading {
    const NAME: &'static str = "reloading";
    type Event = ();

    async fn event(&mut self) {
        self.state.reload.woken().await;
    }

    async fn turn(&mut self, cause: Cause<()>) -> Result<Next, Failure> {
        if cause == Cause::Event(()) {
            service_manager::reloading();
            let (base, webhook) = (&self.state.base, &self.state.config.webhook);
            let result = reload(base, webhook.as_ref(), &self.settings);
            let error = result.err().map(|error| format!("{error:#}"));
            match &error {
                None => tracing::info!("read the settings again"),
                Some(error) => tracing::error!(
                    error,
                    "cannot read the settings again; the earlier ones stay in use"
                ),
            }
            service_manager::reloaded(error.as_deref());
        }
        Ok(Next::event())
    }
}
