//! Settings of simulated builds, for demonstrations and tests.

use std::collections::BTreeMap;
use std::time::Duration;

use buildbtw_builder::{SimulatedConfig, SimulatedDuration, SimulatedFailure};
use buildbtw_model::{FailureKind, Pkgbase};
use serde::Deserialize;

/// Settings of simulated builds.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SimulatedSettings {
    /// Duration of each build, in seconds.
    seconds: f32,
    /// Size of the content of each package, in bytes.
    payload_bytes: usize,
    /// Failures by pkgbase.
    failures: BTreeMap<Pkgbase, FailureSettings>,
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
            duration: SimulatedDuration::Fixed(
                Duration::try_from_secs_f32(self.seconds).unwrap_or_default(),
            ),
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
