//! The entry point of the crate: a program chooses the kind of builder by configuration, and uses every kind
//! in the same way.

use std::path::Path;

use tokio_util::sync::CancellationToken;

use crate::fetchers;
use crate::host::{MissingRequirements, check_host};
use crate::log::LogSink;
use crate::outcome::BuildOutcome;
use crate::request::BuildRequest;
use crate::sandbox::{Sandbox, SandboxConfig, disk};
use crate::simulated::{SimulatedConfig, Simulator};

/// Builds packages. Can be shared behind an `Arc`; any number of builds may run at once.
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
    /// Creates a builder that runs real builds in a bubblewrap sandbox.
    #[must_use]
    pub fn sandboxed(config: SandboxConfig) -> Self {
        Self {
            kind: Kind::Sandboxed(Sandbox::new(config)),
        }
    }

    /// Creates a builder that writes tiny, installable packages after a given time. Needs no privileges.
    #[must_use]
    pub fn simulated(config: SimulatedConfig) -> Self {
        Self {
            kind: Kind::Simulated(Simulator::new(config)),
        }
    }

    /// Checks that the host can run builds.
    ///
    /// # Errors
    ///
    /// Lists everything that is missing and how to install it.
    pub fn requirements(&self) -> Result<(), MissingRequirements> {
        match &self.kind {
            Kind::Sandboxed(sandbox) => check_host(sandbox.config()),
            Kind::Simulated(_) => Ok(()),
        }
    }

    /// Returns the protocols by which this builder fetches sources, besides those that every builder supports
    /// (http, https, ftp and git).
    #[must_use]
    pub fn source_protocols(&self) -> Vec<String> {
        match &self.kind {
            Kind::Sandboxed(_) => fetchers::installed_protocols(),
            // It fetches no sources, so no protocol is unsupported.
            Kind::Simulated(_) => fetchers::known_protocols(),
        }
    }

    /// Returns what an operator should know before the first build, for example that build files take memory.
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        match &self.kind {
            Kind::Sandboxed(sandbox) => disk::warning(sandbox.config()),
            Kind::Simulated(_) => None,
        }
    }

    /// Builds one package into `output_dir`, which must exist. When `cancel` fires, every process of the
    /// build is killed before this returns.
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
