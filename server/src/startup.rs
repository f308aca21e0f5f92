//! What the program gives to the server besides its settings: what it inherited from its service manager, and what its
//! environment configures.

use std::net::TcpListener;

use buildbtw_telemetry::otlp::Traces;

/// See the module. By default, nothing was inherited or configured.
#[derive(Debug, Default)]
pub struct StartupResources {
    /// A socket to listen on.
    pub socket: Option<TcpListener>,
    /// Records traces.
    pub traces: Option<Traces>,
}
