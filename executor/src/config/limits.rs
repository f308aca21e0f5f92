//! Resource limits of one build on this host. The server sets the time limit.

use std::ops::RangeInclusive;
use std::time::Duration;

use buildbtw_builder::Limits;
use serde::Deserialize;

/// The limits of one build, as they are in the settings.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LimitSettings {
    memory_mib: u64,
    disk_mib: u64,
    processes: u64,
    silence_seconds: u64,
    log_mib: u64,
    output_mib: u64,
    /// Whether to create cgroups, on hosts that permit it.
    pub(crate) cgroups: bool,
}

impl Default for LimitSettings {
    fn default() -> Self {
        let limits = Limits::default();
        Self {
            memory_mib: limits.memory_bytes >> 20,
            disk_mib: limits.disk_bytes >> 20,
            processes: limits.processes,
            silence_seconds: limits.silence.as_secs(),
            log_mib: limits.log_bytes >> 20,
            output_mib: limits.output_bytes >> 20,
            cgroups: true,
        }
    }
}

impl LimitSettings {
    /// Checks that the limits are within their ranges.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        let ranges: [(&str, u64, RangeInclusive<u64>); 6] = [
            ("memory_mib", self.memory_mib, 64..=1 << 30),
            ("disk_mib", self.disk_mib, 64..=1 << 30),
            ("processes", self.processes, 32..=1 << 22),
            ("silence_seconds", self.silence_seconds, 1..=30 * 86_400),
            ("log_mib", self.log_mib, 1..=1 << 20),
            ("output_mib", self.output_mib, 1..=1 << 30),
        ];
        for (name, value, range) in ranges {
            let (least, most) = (range.start(), range.end());
            anyhow::ensure!(
                range.contains(&value),
                "`limits.{name}` must be between {least} and {most}, not {value}"
            );
        }
        Ok(())
    }

    /// Returns the values in effect, by their names in the file.
    pub(super) fn defaults(&self) -> Vec<(String, String)> {
        let numbers = [
            ("memory_mib", self.memory_mib),
            ("disk_mib", self.disk_mib),
            ("processes", self.processes),
            ("silence_seconds", self.silence_seconds),
            ("log_mib", self.log_mib),
            ("output_mib", self.output_mib),
        ];
        let numbers = numbers.map(|(name, value)| (name, value.to_string()));
        let cgroups = ("cgroups", self.cgroups.to_string());
        let all = numbers.into_iter().chain([cgroups]);
        all.map(|(name, value)| (format!("limits.{name}"), value))
            .collect()
    }

    /// Returns the limits for the builder.
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            silence: Duration::from_secs(self.silence_seconds),
            memory_bytes: self.memory_mib << 20,
            processes: self.processes,
            disk_bytes: self.disk_mib << 20,
            log_bytes: self.log_mib << 20,
            output_bytes: self.output_mib << 20,
            ..Limits::default()
        }
    }
}
