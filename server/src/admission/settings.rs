//! Limits of connections, from the settings and the process's limit of open files.

use buildbtw_model::saturating;
use clap::Args;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::source::Network;

/// Descriptors that the server needs besides connections and files being sent: the database, sources,
/// uploads, requests to GitLab, and connections that are being rejected.
const OWN_DESCRIPTORS: usize = 256;
/// Connections reserved for addresses that authenticated within the last hour.
const RESERVE: usize = 256;

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
        value_parser = clap::value_parser!(u32).range(2..=1_000_000),
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
        value_parser = clap::value_parser!(u32).range(1..=1_000_000),
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
        value_parser = clap::value_parser!(u32).range(1..=1_000_000),
        value_name = "COUNT"
    )]
    pub max_streams_per_address: u32,
    /// Proxy whose forwarding headers are trusted
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

/// The limits in force.
#[derive(Clone, Debug)]
pub struct Limits {
    pub(super) connections: usize,
    pub(super) files: usize,
    pub(super) per_address: usize,
    pub(super) streams: usize,
    pub(super) trusted: Vec<Network>,
}

impl Limits {
    /// Computes the limits from the settings and the process's limit of open files.
    ///
    /// # Errors
    /// When the limit of open files is too low to serve at all.
    pub fn new(args: &ConnectionArgs) -> anyhow::Result<Self> {
        Self::within(args, raise_descriptors())
    }

    fn within(args: &ConnectionArgs, descriptors: usize) -> anyhow::Result<Self> {
        let free = descriptors.saturating_sub(OWN_DESCRIPTORS);
        // Each connection may request a file, but most do not.
        let files = free / 4;
        let most = free - files;
        anyhow::ensure!(
            files >= 2,
            "the limit of open files is {descriptors}, and the server needs more than \
             {OWN_DESCRIPTORS}; raise it (`ulimit -n`, `LimitNOFILE=`)"
        );
        let wanted: usize = saturating(args.max_connections);
        if most < wanted {
            tracing::warn!(
                wanted,
                most,
                descriptors,
                "allowing fewer connections than --max-connections: the limit of open files is too low"
            );
        }
        let connections = wanted.min(most);
        Ok(Self {
            connections,
            files,
            per_address: saturating(args.max_connections_per_address),
            streams: saturating(args.max_streams_per_address),
            trusted: args.trusted_proxies.clone(),
        })
    }
}

/// Returns how much of a total is reserved for known addresses.
pub(super) fn reserve_of(total: usize) -> usize {
    RESERVE.min(total / 2)
}

/// Raises the soft limit of open files to the hard limit, and returns it.
fn raise_descriptors() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let limit = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => raised.current,
        Err(error) => {
            tracing::warn!(%error, "cannot raise the limit of open files");
            limit.current
        }
    };
    limit.map_or(usize::MAX, saturating)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(max_connections: u32) -> ConnectionArgs {
        ConnectionArgs {
            max_connections,
            max_connections_per_address: 256,
            max_streams_per_address: 128,
            trusted_proxies: Vec::new(),
        }
    }

    #[test]
    fn limits_connections_and_files_to_the_descriptors() {
        for descriptors in [512, 1_024, 4_096, 20_000, 1 << 20, usize::MAX] {
            let limits = Limits::within(&args(8_192), descriptors).unwrap();
            assert!(limits.connections + limits.files + OWN_DESCRIPTORS <= descriptors);
            assert!(limits.connections <= 8_192);
        }
        let many = Limits::within(&args(8_192), 1 << 20).unwrap();
        assert_eq!(many.connections, 8_192);
        assert!(Limits::within(&args(8_192), 256).is_err());
        assert_eq!(
            (reserve_of(8_192), reserve_of(100), reserve_of(2)),
            (256, 50, 1)
        );
    }

    #[test]
    fn raises_soft_descriptor_limit_to_the_hard_limit() {
        let before = getrlimit(Resource::Nofile);
        let lower = Rlimit {
            current: before.maximum.map(|maximum| maximum - 1),
            maximum: before.maximum,
        };
        setrlimit(Resource::Nofile, lower).unwrap();
        raise_descriptors();
        let after = getrlimit(Resource::Nofile);
        assert_eq!(
            (after.current, after.maximum),
            (before.maximum, before.maximum)
        );
    }
}
