//! Network policies: the default of a namespace and the maximum that this server allows.

use buildbtw_model::api::ProblemKind;
use buildbtw_model::{MissingKeys, NetworkPolicy};

use crate::error::{Error, Refusal};

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
