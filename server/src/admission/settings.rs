//! Limits of connections, from the settings and the process's limit of open files.

use buildbtw_model::{Explanation, saturating};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::source::Network;

/// Descriptors that the server needs besides connections and files being sent: the database, sources,
/// uploads, requests to GitLab, and connections that are being rejected.
const OWN_DESCRIPTORS: usize = 256;
/// Connections reserved for addresses that authenticated within the last hour.
const RESERVE: usize = 256;

/// The settings of connections.
#[derive(Clone, Debug)]
pub struct ConnectionSettings {
    /// Maximum number of connections.
    pub connections: usize,
    /// Maximum number of connections per address.
    pub per_address: usize,
    /// Maximum number of streams per address.
    pub streams: usize,
    /// Proxies whose forwarding headers are trusted.
    pub trusted: Vec<Network>,
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
    pub fn new(settings: &ConnectionSettings) -> anyhow::Result<Self> {
        Self::within(settings, raise_descriptors())
    }

    fn within(settings: &ConnectionSettings, descriptors: usize) -> anyhow::Result<Self> {
        let free = descriptors.saturating_sub(OWN_DESCRIPTORS);
        // Each connection may request a file, but most do not.
        let files = free / 4;
        let most = free - files;
        anyhow::ensure!(
            files >= 2,
            Explanation::with_hint(
                format!(
                    "the limit of open files is {descriptors}, and the server needs more than \
                     {OWN_DESCRIPTORS}"
                ),
                "raise it with `ulimit -n` or `LimitNOFILE=`",
            )
        );
        let wanted = settings.connections;
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
            per_address: settings.per_address,
            streams: settings.streams,
            trusted: settings.trusted.clone(),
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

    fn settings(connections: usize) -> ConnectionSettings {
        ConnectionSettings {
            connections,
            per_address: 256,
            streams: 128,
            trusted: Vec::new(),
        }
    }

    #[test]
    fn limits_connections_and_files_to_the_descriptors() {
        for descriptors in [512, 1_024, 4_096, 20_000, 1 << 20, usize::MAX] {
            let limits = Limits::within(&settings(8_192), descriptors).unwrap();
            assert!(limits.connections + limits.files + OWN_DESCRIPTORS <= descriptors);
            assert!(limits.connections <= 8_192);
        }
        let many = Limits::within(&settings(8_192), 1 << 20).unwrap();
        assert_eq!(many.connections, 8_192);
        assert!(Limits::within(&settings(8_192), 256).is_err());
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
