//! Settings of simulated builds, for demonstrations and tests.

use std::collections::BTreeMap;
use std::time::Duration;

use buildbtw_builder::{SimulatedConfig, SimulatedDuration, SimulatedFailure};
use buildbtw_model::{FailureKind, Pkgbase};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// Settings of simulated builds.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SimulatedSettings {
    /// Duration of each build, in seconds.
    #[serde(deserialize_with = "seconds")]
    seconds: Duration,
    /// Size of the content of each package, in bytes.
    payload_bytes: usize,
    /// Failures by pkgbase.
    failures: BTreeMap<Pkgbase, FailureSettings>,
}

fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let seconds = f32::deserialize(deserializer)?;
    Duration::try_from_secs_f32(seconds).map_err(D::Error::custom)
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FailureSettings {
    kind: FailureKind,
    message: String,
}

impl SimulatedSettings {
    pub(super) fn simulated(&self) -> SimulatedConfig {
        let failure = |failure: &FailureSettings| SimulatedFailure {
            kind: failure.kind,
            message: failure.message.clone(),
            times: None,
        };
        SimulatedConfig {
            duration: SimulatedDuration::Fixed(self.seconds),
            payload_bytes: self.payload_bytes,
            failures: self
                .failures
                .iter()
                .map(|(pkgbase, settings)| (pkgbase.clone(), failure(settings)))
                .collect(),
            ..SimulatedConfig::default()
        }
    }
}
