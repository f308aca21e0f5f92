//! The checks that need root: the host, the server with this host's settings, and one real build.

use std::io;
use std::path::Path;

use buildbtw_agent::machine;
use buildbtw_doctor::server::Expected;
use buildbtw_doctor::{Check, Report, build_host, disk, server};
use buildbtw_model::Explanation;
use jiff::Timestamp;

use super::state::State;
use crate::config::Config;

/// The program, in reports.
pub(crate) const PROGRAM: &str = "buildbtw-executor";
/// Its version.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Runs the checks; nothing is left of the build.
pub(super) async fn run(config: &Config, state: &State, build: bool) -> Vec<Check> {
    let mut report = Report::new(PROGRAM, VERSION);
    check_server(&mut report, config).await;
    report.add(check_disk(config));
    check_host(&mut report, config, state, build).await;
    report.checks
}

/// Checks the server, for which this host has no token: each job brings its own.
pub(crate) async fn check_server(report: &mut Report, config: &Config) {
    let expected = Expected {
        version: VERSION,
        setting: "server",
        token: None,
        has_token: false,
    };
    match config.client() {
        Ok(client) => server::check_all(report, &client, expected, Timestamp::now).await,
        Err(error) => report.add(Check::failed(
            "server",
            error,
            "correct `server` and `ca` in executor.toml",
        )),
    }
}

fn check_disk(config: &Config) -> Check {
    const NAME: &str = "disk";
    let folder: &Path = &config.state_dir;
    let limit = config.limits.limits().disk_bytes;
    match buildbtw_metrics::space(folder) {
        Ok(space) => disk::for_builds(NAME, folder, space.available, limit, "limits.disk_mib"),
        Err(error) => unmeasured(folder, &error),
    }
}

/// Returns the failure of a disk whose space is unknown.
fn unmeasured(folder: &Path, error: &io::Error) -> Check {
    Check::failure(
        "disk",
        format!("cannot measure the disk of `{}`: {error}", folder.display()),
        "check that disk, or set `state_dir`",
    )
}

/// Returns the failure of credentials that git cannot use.
fn no_credentials(why: Explanation) -> Check {
    Check::failed("credentials of sources", why, "correct executor.toml")
}

/// Returns the warning about what an earlier check left.
fn not_removed(folder: &Path, error: &io::Error) -> Check {
    let message = format!("cannot clean up `{}`: {error}", folder.display());
    Check::warning("cleanup", message, "restart the host")
}

async fn check_host(report: &mut Report, config: &Config, state: &State, build: bool) {
    let folder = state.doctor();
    if !config.needs_root() {
        report.add(Check::skipped("sandbox", "the builder is simulated"));
        return;
    }
    let sandbox = config.sandbox(folder.clone());
    if let Err(why) = config.git().check() {
        report.add(no_credentials(why));
    }
    build_host::check_host(report, &sandbox).await;
    let architectures = config.architectures();
    let mut own = architectures.into_iter();
    let own = own.find(|architecture| architecture.as_str() == machine::architecture());
    match own {
        _ if !build => report.add(Check::skipped(build_host::BUILD, "--no-build is set")),
        None => report.add(Check::skipped(
            build_host::BUILD,
            "none of `architectures` is that of this host",
        )),
        Some(architecture) => {
            // Removes what an earlier `doctor` left when it was killed.
            let reaped = buildbtw_builder::reap(&folder).await;
            if let Err(error) = reaped {
                report.add(not_removed(&folder, &error));
            }
            let limits = config.limits.limits();
            build_host::check_build(report, sandbox, limits, architecture).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_match_snapshot() {
        let folder = Path::new("/var/lib/buildbtw-executor");
        let denied = io::Error::from(io::ErrorKind::PermissionDenied);
        let mut report = Report::new(PROGRAM, "1.0.0");
        report.extend([
            unmeasured(folder, &denied),
            no_credentials(Explanation::from("`/etc/key` cannot be read")),
            not_removed(folder, &denied),
        ]);
        insta::assert_snapshot!(report.to_text());
    }
}
