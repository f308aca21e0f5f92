//! Network policies: the default of a namespace and the maximum that this server allows.

use buildbtw_model::api::ProblemKind;
use buildbtw_model::{MissingKeys, NetworkPolicy};
use clap::Args;

use crate::error::{Error, Refusal};

/// Options about the network of builds.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Network of builds")]
pub struct NetworkArgs {
    /// Network policy of namespaces created without one
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

/// The network policies in force.
#[derive(Clone, Copy, Debug)]
pub struct NetworkSettings {
    /// The policy of namespaces created without one.
    pub default: NetworkPolicy,
    /// The highest policy of a namespace.
    pub max: NetworkPolicy,
    /// Action when the key of a signed source is missing.
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
            "--network {} exceeds --max-network {}",
            self.network,
            self.max_network
        );
        Ok(NetworkSettings {
            default: self.network,
            max: self.max_network,
            missing_keys: self.missing_keys,
        })
    }
}

impl NetworkSettings {
    /// Returns the policy of a new namespace, which may request one.
    ///
    /// # Errors
    /// When the requested policy is higher than the maximum.
    pub fn for_new_namespace(&self, asked: Option<NetworkPolicy>) -> Result<NetworkPolicy, Error> {
        let Some(policy) = asked else {
            return Ok(self.default);
        };
        if policy <= self.max {
            return Ok(policy);
        }
        let max = self.max;
        let title = format!("network policy `{policy}` exceeds this server's maximum, `{max}`");
        Err(Refusal::new(ProblemKind::InvalidRequest, title)
            .hint(format!(
                "use --network {max}, or ask the operator to set `--max-network {policy}`"
            ))
            .into())
    }

    /// Returns the policy of a namespace's builds: its own, limited by the server's maximum.
    #[must_use]
    pub fn effective(&self, namespace: NetworkPolicy) -> NetworkPolicy {
        namespace.min(self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(default: NetworkPolicy, max: NetworkPolicy) -> NetworkSettings {
        NetworkSettings {
            default,
            max,
            missing_keys: MissingKeys::Fail,
        }
    }

    #[test]
    fn uses_requested_policy_or_default() {
        use NetworkPolicy::{None as Nothing, Prepare, Sources};
        let settings = settings(Sources, Prepare);
        assert_eq!(settings.for_new_namespace(None).unwrap(), Sources);
        assert_eq!(settings.for_new_namespace(Some(Prepare)).unwrap(), Prepare);
        assert_eq!(settings.for_new_namespace(Some(Nothing)).unwrap(), Nothing);
    }

    #[test]
    fn caps_policy_of_every_namespace() {
        use NetworkPolicy::{None as Nothing, Prepare, Sources};
        let settings = settings(Sources, Sources);
        assert!(settings.for_new_namespace(Some(Prepare)).is_err());
        // The namespace was created while the server allowed more.
        assert_eq!(settings.effective(Prepare), Sources);
        assert_eq!(settings.effective(Nothing), Nothing);
    }
}
