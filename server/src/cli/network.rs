//! Arguments about the network of builds.

use buildbtw_model::{Explanation, MissingKeys, NetworkPolicy};
use clap::Args;

use crate::network::NetworkSettings;

/// Options about the network of builds.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Network of builds")]
pub struct NetworkArgs {
    /// Default network policy of namespaces
    ///
    /// `none`: packages with sources to download are not built. `sources`: the sources listed in
    /// .SRCINFO are fetched first, and all functions run offline. `prepare`: prepare() and pkgver()
    /// have a network too, for packages that download with cargo, go, npm or pip; build(), check()
    /// and package() run offline.
    #[arg(
        long,
        env = "BUILDBTW_NETWORK",
        default_value_t = NetworkPolicy::Sources,
        value_name = "POLICY"
    )]
    pub network: NetworkPolicy,
    /// Highest network policy of a namespace
    ///
    /// One of none, sources or prepare.
    #[arg(
        long,
        env = "BUILDBTW_MAX_NETWORK",
        default_value_t = NetworkPolicy::Prepare,
        value_name = "POLICY"
    )]
    pub max_network: NetworkPolicy,
    /// Action when the key of a signed source is not in keys/pgp
    ///
    /// `fail`: the build fails. `warn`: the log has a warning, and only the checksum of the source
    /// is verified. A bad signature, or one of a key that validpgpkeys does not list, always fails.
    #[arg(
        long,
        env = "BUILDBTW_MISSING_KEYS",
        default_value_t = MissingKeys::Fail,
        value_name = "ACTION"
    )]
    pub missing_keys: MissingKeys,
}

impl NetworkArgs {
    /// Returns the settings.
    ///
    /// # Errors
    /// When the default is higher than the maximum.
    pub fn settings(&self) -> anyhow::Result<NetworkSettings> {
        anyhow::ensure!(
            self.network <= self.max_network,
            Explanation::with_hint(
                format!(
                    "--network {} exceeds --max-network {}",
                    self.network, self.max_network
                ),
                "raise --max-network, or choose a lower --network",
            )
        );
        Ok(NetworkSettings {
            default: self.network,
            max: self.max_network,
            missing_keys: self.missing_keys,
        })
    }
}
