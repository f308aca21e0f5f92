//! The one entrance to building: the programs choose a kind by configuration and then no longer
//! care which one it is.

use std::path::Path;

use tokio_util::sync::CancellationToken;

use crate::fetchers;
use crate::host::{MissingRequirements, check_host};
use crate::log::LogSink;
use crate::outcome::BuildOutcome;
use crate::request::BuildRequest;
use crate::sandbox::{Sandbox, SandboxConfig, disk};
use crate::simulated::{SimulatedConfig, Simulator};

/// Builds packages. Cheap to share behind an `Arc`; any number of builds may run at once.
#[derive(Debug)]
pub struct Builder {
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Sandboxed(Sandbox),
    Simulated(Simulator),
}

impl Builder {
    /// Builds for real, in a bubblewrap sandbox.
    #[must_use]
    pub fn sandboxed(config: SandboxConfig) -> Self {
        Self {
            kind: Kind::Sandboxed(Sandbox::new(config)),
        }
    }

    /// Makes tiny packages that pacman can install, in a given time. Needs no privileges.
    #[must_use]
    pub fn simulated(config: SimulatedConfig) -> Self {
        Self {
            kind: Kind::Simulated(Simulator::new(config)),
        }
    }

    /// Whether this machine can do it.
    ///
    /// # Errors
    ///
    /// Says everything that is missing and how to get it.
    pub fn requirements(&self) -> Result<(), MissingRequirements> {
        match &self.kind {
            Kind::Sandboxed(sandbox) => check_host(sandbox.config()),
            Kind::Simulated(_) => Ok(()),
        }
    }

    /// The protocols that it fetches sources by, besides those that every builder does (http, https, ftp and
    /// git).
    #[must_use]
    pub fn source_protocols(&self) -> Vec<String> {
        match &self.kind {
            Kind::Sandboxed(_) => fetchers::installed_protocols(),
            // It fetches nothing, whatever there is to fetch.
            Kind::Simulated(_) => fetchers::known_protocols(),
        }
    }

    /// What people who run this machine should know before the first build: files of builds that take memory.
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        match &self.kind {
            Kind::Sandboxed(sandbox) => disk::warning(sandbox.config()),
            Kind::Simulated(_) => None,
        }
    }

    /// Builds one package into `output_dir`, which must exist. When `cancel` fires, every process
    /// of the build is killed before this returns.
    pub async fn build(
        &self,
        request: &BuildRequest,
        output_dir: &Path,
        log: &dyn LogSink,
        cancel: CancellationToken,
    ) -> BuildOutcome {
        match &self.kind {
            Kind::Sandboxed(sandbox) => sandbox.build(request, output_dir, log, cancel).await,
            Kind::Simulated(simulator) => simulator.build(request, output_dir, log, cancel).await,
        }
    }
}
