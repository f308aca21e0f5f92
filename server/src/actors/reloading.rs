//! Reads settings again when an administrator asks for it.

use std::time::Duration;

use buildbtw_model::{BackgroundTask, Explanation};

use super::runner::{Actor, Cause, Next, OwnOutage};
use crate::outage::{Failure, Pauses};
use crate::service::reload::{Reloadable, reload};
use crate::service_manager;
use crate::state::AppState;

/// The actor that reads settings again.
pub(crate) struct Reloading {
    state: AppState,
    settings: Reloadable,
}

impl Reloading {
    pub(crate) fn new(state: AppState, settings: Reloadable) -> Self {
        Self { state, settings }
    }
}

impl OwnOutage for Reloading {
    const TITLE: &'static str = "cannot read settings again";
    const PAUSES: Pauses = Pauses::constant(Duration::from_secs(1));
}

impl Actor for Reloading {
    const TASK: BackgroundTask = BackgroundTask::Reloading;
    type Event = ();

    async fn event(&mut self) {
        self.state.reload.woken().await;
    }

    async fn turn(&mut self, cause: Cause<()>) -> Result<Next, Failure> {
        if cause == Cause::Event(()) {
            service_manager::reloading();
            let (base, webhook) = (&self.state.base, &self.state.config.webhook);
            let result = reload(base, webhook.as_ref(), &self.settings);
            let error = result
                .err()
                .map(|error| Explanation::of_error(error.as_ref()));
            match &error {
                None => tracing::info!("read the settings again"),
                Some(error) => tracing::error!(
                    error = error.message,
                    hint = error.hint,
                    "cannot read the settings again; the earlier ones stay in use"
                ),
            }
            service_manager::reloaded(error.as_ref().map(|error| error.message.as_str()));
        }
        Ok(Next::event())
    }
}
