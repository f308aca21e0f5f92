//! `/api/v1`.

pub(crate) mod activity;
pub(crate) mod attempts;
pub(crate) mod builds;
pub(crate) mod control;
pub(crate) mod events;
pub(crate) mod inputs;
pub(crate) mod iterations;
mod log_events;
pub(crate) mod logs;
pub(crate) mod namespaces;
pub(crate) mod outages;
pub(crate) mod sources;
pub(crate) mod tokens;
pub(crate) mod webhooks;
pub(crate) mod workers;
