//! `config`: prints the folders of a job. Nothing else may be written to standard output.

use std::io::Write as _;

use serde_json::json;

use crate::contract::Environment;
use crate::failure::Failure;
use crate::front::Host;
use crate::front::jobs::Jobs;

/// Prints the driver's configuration for the runner.
pub(super) fn run(host: &Host, environment: &Environment) -> Result<(), Failure> {
    let job = environment.job()?;
    let folder = Jobs::of(host).job(job.id);
    let config = json!({
        "driver": { "name": "buildbtw", "version": env!("CARGO_PKG_VERSION") },
        "builds_dir": folder.builds(),
        "cache_dir": folder.cache(),
        // Each job has a folder of its own.
        "builds_dir_is_shared": false,
        "shell": "bash",
    });
    writeln!(std::io::stdout(), "{config}")?;
    Ok(())
}
