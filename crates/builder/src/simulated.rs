//! A builder that writes real but tiny packages after a given time, for tests, demos and load tests.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use buildbtw_model::api::ExpectedPackage;
use buildbtw_model::{Architecture, FailureKind, PackageVersion, Pkgbase, Pkgname};
use buildbtw_package::TinyPackage;
use buildbtw_telemetry::spawn_blocking_named;
use tokio_util::sync::CancellationToken;

use crate::log::{HEADING, LogSink};
use crate::outcome::{BuildOutcome, BuiltPackage};
use crate::request::BuildRequest;
use crate::stops;

/// The behaviour of the simulated builder.
#[derive(Clone, Debug, Default)]
pub struct SimulatedConfig {
    /// How long a build takes.
    pub duration: SimulatedDuration,
    /// Exceptions: how long the builds of these packages take.
    pub duration_of: BTreeMap<Pkgbase, Duration>,
    /// The builds that fail.
    pub failures: BTreeMap<Pkgbase, SimulatedFailure>,
    /// The relations of packages to other packages.
    pub relations: BTreeMap<Pkgname, SimulatedRelations>,
    /// The number of bytes of incompressible content in each package.
    pub payload_bytes: usize,
}

/// The duration of simulated builds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SimulatedDuration {
    /// All builds take the same time.
    Fixed(Duration),
    /// Durations are spread evenly; the same pkgbase always takes the same time.
    Range {
        /// The shortest.
        min: Duration,
        /// The longest.
        max: Duration,
    },
}

impl Default for SimulatedDuration {
    fn default() -> Self {
        Self::Fixed(Duration::ZERO)
    }
}

/// A failure to simulate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimulatedFailure {
    /// Whose fault it is.
    pub kind: FailureKind,
    /// The message of the failure.
    pub message: String,
    /// How often the build fails before it succeeds; `None`: always.
    pub times: Option<u32>,
}

/// The relations of a simulated package to other packages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SimulatedRelations {
    /// `depend` lines.
    pub depends: Vec<String>,
    /// `provides` lines.
    pub provides: Vec<String>,
}

#[derive(Debug)]
pub(crate) struct Simulator {
    config: SimulatedConfig,
    failed: Mutex<HashMap<Pkgbase, u32>>,
}

impl Simulator {
    pub(crate) fn new(config: SimulatedConfig) -> Self {
        Self {
            config,
            failed: Mutex::default(),
        }
    }

    pub(crate) async fn build(
        &self,
        request: &BuildRequest,
        output_dir: &Path,
        log: &dyn LogSink,
        cancel: CancellationToken,
    ) -> BuildOutcome {
        let duration = self.duration(&request.pkgbase);
        let line = format!(
            "{HEADING}simulating {} for {} ms\n",
            request.pkgbase,
            duration.as_millis()
        );
        log.write(line.as_bytes());
        if let Some(stopped) = wait(request, duration, &cancel).await {
            return stopped;
        }
        if let Some(failure) = self.failure(&request.pkgbase) {
            log.write(format!("==> ERROR: {}\n", failure.message).as_bytes());
            return BuildOutcome::failed(failure.kind, &failure.message);
        }
        let outcome = self.make_packages(request, output_dir).await;
        if let BuildOutcome::Succeeded { packages, .. } = &outcome {
            for package in packages {
                log.write(format!("{HEADING}built {}\n", package.file_name).as_bytes());
            }
        }
        outcome
    }

    fn duration(&self, pkgbase: &Pkgbase) -> Duration {
        if let Some(duration) = self.config.duration_of.get(pkgbase) {
            return *duration;
        }
        match self.config.duration {
            SimulatedDuration::Fixed(duration) => duration,
            SimulatedDuration::Range { min, max } => {
                let spread = max.saturating_sub(min);
                min + spread.mul_f64(f64::from(stable_hash(pkgbase.as_str())) / f64::from(u32::MAX))
            }
        }
    }

    fn failure(&self, pkgbase: &Pkgbase) -> Option<SimulatedFailure> {
        let failure = self.config.failures.get(pkgbase)?;
        if let Some(times) = failure.times {
            let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
            let count = failed.entry(pkgbase.clone()).or_default();
            if *count >= times {
                return None;
            }
            *count += 1;
        }
        Some(failure.clone())
    }

    async fn make_packages(&self, request: &BuildRequest, output_dir: &Path) -> BuildOutcome {
        let version = match version_of(request) {
            Ok(version) => version,
            Err(message) => return BuildOutcome::failed(FailureKind::Package, &message),
        };
        let packages: Vec<TinyPackage> = expected(request)
            .into_iter()
            .map(|package| self.package(request, package, &version))
            .collect();
        let folder: PathBuf = output_dir.to_owned();
        let written = spawn_blocking_named("write package", move || {
            packages
                .iter()
                .map(|package| BuiltPackage::write(package, &folder))
                .collect::<std::io::Result<Vec<BuiltPackage>>>()
        });
        match written.await {
            Ok(Ok(packages)) => BuildOutcome::Succeeded {
                packages,
                notes: Vec::new(),
                pkgbuild: None,
            },
            Ok(Err(error)) => BuildOutcome::failed(FailureKind::Infrastructure, error.to_string()),
            Err(error) => BuildOutcome::failed(FailureKind::Infrastructure, error.to_string()),
        }
    }

    fn package(
        &self,
        request: &BuildRequest,
        package: ExpectedPackage,
        version: &PackageVersion,
    ) -> TinyPackage {
        let relations = self
            .config
            .relations
            .get(&package.name)
            .cloned()
            .unwrap_or_default();
        let provides = relations.provides.iter();
        let provides = provides.map(|provided| format!("provides = {provided}"));
        let depends = relations.depends.iter();
        let depends = depends.map(|dependency| format!("depend = {dependency}"));
        TinyPackage {
            packager: request.packager.clone(),
            build_date: request.source_date_epoch.unwrap_or(1),
            info: provides.chain(depends).collect(),
            ..TinyPackage::new(
                request.pkgbase.clone(),
                package.name,
                version.clone(),
                package.architecture,
            )
        }
        .with_payload(self.config.payload_bytes)
    }
}

async fn wait(
    request: &BuildRequest,
    duration: Duration,
    cancel: &CancellationToken,
) -> Option<BuildOutcome> {
    if cancel.is_cancelled() {
        return Some(stops::cancelled().into());
    }
    let limit = request.limits.time;
    // Even a timer of zero takes a millisecond.
    if duration.is_zero() {
        return None;
    }
    tokio::select! {
        () = tokio::time::sleep(duration.min(limit)) => {}
        () = cancel.cancelled() => return Some(stops::cancelled().into()),
    }
    (duration > limit).then(|| stops::too_long(limit).into())
}

fn expected(request: &BuildRequest) -> Vec<ExpectedPackage> {
    if request.packages.is_empty() {
        let architecture: Architecture = request.architecture.clone();
        return vec![ExpectedPackage {
            name: request.pkgbase.to_pkgname(),
            architecture,
        }];
    }
    request.packages.clone()
}

fn version_of(request: &BuildRequest) -> Result<PackageVersion, String> {
    if let Some(version) = &request.version {
        return Ok(version.clone());
    }
    let pkgrel = request.pkgrel.as_deref().unwrap_or("1");
    format!("1-{pkgrel}")
        .parse()
        .map_err(|error: buildbtw_model::InvalidName| error.to_string())
}

/// Hashes a text to the same value in every process, unlike the hasher of the standard library.
fn stable_hash(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Source;
    use std::sync::Arc;

    fn request(pkgbase: &str) -> BuildRequest {
        BuildRequest::new(
            pkgbase.parse().unwrap(),
            "x86_64".parse().unwrap(),
            Source::Directory("/nowhere".into()),
        )
    }

    fn silent(_: &[u8]) {}

    #[tokio::test]
    async fn builds_requested_packages() {
        let folder = tempfile::tempdir().unwrap();
        let mut request = request("libgreet");
        request.version = Some("2.0-1.1".parse().unwrap());
        for (name, architecture) in [("libgreet", "x86_64"), ("libgreet-docs", "any")] {
            request.packages.push(ExpectedPackage {
                name: name.parse().unwrap(),
                architecture: architecture.parse().unwrap(),
            });
        }
        let log = Arc::new(Mutex::new(Vec::new()));
        let sink = {
            let log = Arc::clone(&log);
            move |bytes: &[u8]| log.lock().unwrap().extend_from_slice(bytes)
        };
        let outcome = Simulator::new(SimulatedConfig::default())
            .build(&request, folder.path(), &sink, CancellationToken::new())
            .await;
        let BuildOutcome::Succeeded { packages, .. } = outcome else {
            panic!("{outcome:?}");
        };
        let names: Vec<&str> = packages.iter().map(|p| p.file_name.as_str()).collect();
        assert_eq!(
            names,
            [
                "libgreet-2.0-1.1-x86_64.pkg.tar.zst",
                "libgreet-docs-2.0-1.1-any.pkg.tar.zst"
            ]
        );
        assert!(String::from_utf8_lossy(&log.lock().unwrap()).contains("simulating libgreet"));
    }

    #[tokio::test]
    async fn fails_at_configured_rate() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = SimulatedConfig::default();
        config.failures.insert(
            "a".parse().unwrap(),
            SimulatedFailure {
                kind: FailureKind::Infrastructure,
                message: "the network is down".into(),
                times: Some(2),
            },
        );
        let simulator = Simulator::new(config);
        let mut results = Vec::new();
        for _ in 0..3 {
            let request = request("a");
            results.push(
                simulator
                    .build(&request, folder.path(), &silent, CancellationToken::new())
                    .await
                    .is_success(),
            );
        }
        assert_eq!(results, [false, false, true]);
    }

    #[tokio::test]
    async fn stops_on_cancellation_and_at_time_limit() {
        let folder = tempfile::tempdir().unwrap();
        let simulator = Simulator::new(SimulatedConfig {
            duration: SimulatedDuration::Fixed(Duration::from_secs(3600)),
            ..SimulatedConfig::default()
        });
        let cancel = CancellationToken::new();
        cancel.cancel();
        let outcome = simulator
            .build(&request("a"), folder.path(), &silent, cancel)
            .await;
        assert!(
            matches!(
                outcome,
                BuildOutcome::Failed {
                    kind: FailureKind::Cancelled,
                    ..
                }
            ),
            "{outcome:?}"
        );
        let mut request = request("a");
        request.limits.time = Duration::from_millis(1);
        let outcome = simulator
            .build(&request, folder.path(), &silent, CancellationToken::new())
            .await;
        assert!(
            matches!(
                outcome,
                BuildOutcome::Failed {
                    kind: FailureKind::Timeout,
                    ..
                }
            ),
            "{outcome:?}"
        );
    }

    #[test]
    fn draws_repeatable_durations_within_range() {
        let (min, max) = (Duration::from_millis(10), Duration::from_millis(20));
        let simulator = Simulator::new(SimulatedConfig {
            duration: SimulatedDuration::Range { min, max },
            ..SimulatedConfig::default()
        });
        for name in ["a", "b", "zlib", "openimageio"] {
            let name: Pkgbase = name.parse().unwrap();
            let duration = simulator.duration(&name);
            assert!((min..=max).contains(&duration));
            assert_eq!(duration, simulator.duration(&name));
        }
    }
}
