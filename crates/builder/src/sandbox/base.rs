//! The system below the sandbox.

use std::io;

use buildbtw_telemetry::spawn_blocking_named;

use super::config::SandboxConfig;
use super::host_packages;
use super::job::Base;

/// Determines the base system of the host, which takes some milliseconds.
pub(super) async fn base_of(config: &SandboxConfig) -> io::Result<Base> {
    if let Some(root) = &config.base_root {
        return Ok(Base::Root(std::path::absolute(root)?));
    }
    let provides = spawn_blocking_named("read host packages", host_packages::provides)
        .await
        .map_err(io::Error::other)?;
    Ok(Base::Host { provides })
}
