//! Arguments about connections.

use buildbtw_model::saturating;
use buildbtw_model::settings::number;
use clap::Args;

use crate::admission::{ConnectionSettings, Network};

/// Options of `buildbtw-server run` about connections.
#[derive(Clone, Debug, Args)]
pub struct ConnectionArgs {
    /// Maximum number of connections
    ///
    /// 256 of them (half, if that is less) are reserved for addresses that authenticated within the
    /// last hour. The server uses fewer if the limit of open files is too low. Range: 2 to 1000000.
    #[arg(
        long,
        env = "BUILDBTW_MAX_CONNECTIONS",
        default_value_t = 8_192,
        value_parser = number::<u32>(2..=1_000_000),
        value_name = "COUNT"
    )]
    pub max_connections: u32,
    /// Maximum number of connections per address
    ///
    /// An IPv6 /64 network counts as one address. For addresses behind a trusted proxy, limits
    /// concurrent requests. Range: 1 to 1000000.
    #[arg(
        long,
        env = "BUILDBTW_MAX_CONNECTIONS_PER_ADDRESS",
        default_value_t = 256,
        value_parser = number::<u32>(1..=1_000_000),
        value_name = "COUNT"
    )]
    pub max_connections_per_address: u32,
    /// Maximum number of streams per address
    ///
    /// Streams are events, live logs, and waiting claims of workers. Range: 1 to 1000000.
    #[arg(
        long,
        env = "BUILDBTW_MAX_STREAMS_PER_ADDRESS",
        default_value_t = 128,
        value_parser = number::<u32>(1..=1_000_000),
        value_name = "COUNT"
    )]
    pub max_streams_per_address: u32,
    /// Trusted proxy
    ///
    /// An address, or a network such as 10.0.0.0/8, whose `Forwarded` or `X-Forwarded-For` names
    /// the client. Repeatable, or separated by commas.
    #[arg(
        long = "trusted-proxy",
        env = "BUILDBTW_TRUSTED_PROXY",
        value_delimiter = ',',
        value_name = "CIDR"
    )]
    pub trusted_proxies: Vec<Network>,
}

impl ConnectionArgs {
    /// Returns the settings.
    #[must_use]
    pub fn settings(&self) -> ConnectionSettings {
        ConnectionSettings {
            connections: saturating(self.max_connections),
            per_address: saturating(self.max_connections_per_address),
            streams: saturating(self.max_streams_per_address),
            trusted: self.trusted_proxies.clone(),
        }
    }
}
