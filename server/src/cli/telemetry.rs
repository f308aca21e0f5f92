//! Arguments about how the server can be observed.

use std::net::SocketAddr;

use buildbtw_model::settings::address;
use clap::Args;

/// Options of `buildbtw-server run` about how it can be observed.
#[derive(Clone, Debug, Args)]
pub struct TelemetryArgs {
    /// Export traces to an OpenTelemetry collector
    ///
    /// The standard variables OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_HEADERS,
    /// OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES, OTEL_TRACES_SAMPLER and others configure it.
    /// By default they are sent to http://localhost:4318.
    #[arg(long, env = "BUILDBTW_OTLP")]
    pub otlp: bool,
    /// Serve tokio-console
    ///
    /// Every client that reaches the address sees all tasks. Only for programs that are compiled
    /// for it, as by `just run-server-console`. [default without a value: 127.0.0.1:6669]
    #[arg(
        long,
        env = "BUILDBTW_TOKIO_CONSOLE",
        num_args = 0..=1,
        default_missing_value = "127.0.0.1:6669",
        value_parser = address,
        value_name = "ADDRESS"
    )]
    pub tokio_console: Option<SocketAddr>,
}
