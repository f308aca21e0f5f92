//! Arguments about metrics.

use std::net::SocketAddr;
use std::time::Duration;

use buildbtw_model::settings::{address, number};
use clap::Args;

/// Options of `buildbtw-server run` about metrics.
#[derive(Clone, Debug, Args)]
pub struct MetricsArgs {
    /// Address and port for metrics
    ///
    /// `/metrics` is then served there only, with `/healthz` and `/readyz`, also while the server
    /// reads its sources for the first time. By default it is part of the server's address.
    #[arg(
        long,
        env = "BUILDBTW_METRICS_LISTEN",
        value_parser = address,
        value_name = "ADDRESS"
    )]
    pub metrics_listen: Option<SocketAddr>,
    /// Objective for the time in the queue, in seconds
    ///
    /// Builds that are ready for longer while a worker is free are counted in the metrics. Range: 1
    /// to 86400.
    #[arg(
        long,
        env = "BUILDBTW_QUEUE_OBJECTIVE_SECONDS",
        default_value_t = 60,
        value_parser = number::<u32>(1..=86_400),
        value_name = "SECONDS"
    )]
    pub queue_objective_seconds: u32,
}

impl MetricsArgs {
    /// Returns how long a build may be ready while a worker is free.
    pub(super) fn queue_objective(&self) -> Duration {
        Duration::from_secs(self.queue_objective_seconds.into())
    }
}
