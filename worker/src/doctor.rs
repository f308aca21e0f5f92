//! `doctor`: checks whether this machine can build for its server. The worker may be running.

mod listening;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use buildbtw_agent::machine;
use buildbtw_builder::{Limits, SandboxConfig};
use buildbtw_doctor::server::Expected;
use buildbtw_doctor::token::Need;
use buildbtw_doctor::{Check, Report, ShownSetting, build_host, disk, files, server};
use buildbtw_model::client::Client;
use buildbtw_model::{Architecture, Explanation, TokenScope};
use jiff::Timestamp;

use crate::cli::{Doctor, Run, TOKEN_HINT};
use crate::config::{BuilderConfig, Config};

/// The program, in reports.
pub const PROGRAM: &str = "buildbtw-worker";
/// Its version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The setting that limits what a build writes.
const DISK_LIMIT: &str = "--limit-disk-mib";
const CORRECT: &str = "correct the setting; `buildbtw-worker run --help` describes it";

/// Checks a machine with these settings.
pub async fn examine(args: Doctor, settings: Vec<ShownSetting>) -> Report {
    let Doctor { no_build, run, .. } = args;
    let mut report = Report::new(PROGRAM, VERSION);
    report.settings = settings;
    let facts = Facts::of(&run);
    let (scratch, secrets) = (facts.scratch.clone(), facts.secrets.clone());
    report
        .run_blocking("files", move || check_files(&scratch, &secrets))
        .await;
    let config = match run.into_config() {
        Ok(config) => {
            report.add(Check::ok("configuration", "the settings can be used"));
            Some(config)
        }
        Err(error) => {
            let why = Explanation::of_error(error.as_ref());
            report.add(Check::failed("configuration", why, CORRECT));
            None
        }
    };
    check_server(&mut report, config.as_ref(), &facts).await;
    if let Some(address) = facts.metrics_listen {
        listening::check(&mut report, address, &facts.scratch).await;
    }
    let limits = config.as_ref().map(|config| config.limits.clone());
    let limit = limits
        .as_ref()
        .map_or_else(|| Limits::default().disk_bytes, |l| l.disk_bytes);
    let scratch = facts.scratch.clone();
    report
        .run_blocking("disk", move || vec![check_disk(&scratch, limit)])
        .await;
    check_host(&mut report, config, &facts, no_build).await;
    report
}

/// What is known before the settings are checked.
struct Facts {
    server: String,
    has_token: bool,
    scratch: PathBuf,
    metrics_listen: Option<SocketAddr>,
    /// The files with secrets, with the names of their settings.
    secrets: Vec<(&'static str, PathBuf)>,
}

impl Facts {
    fn of(run: &Run) -> Self {
        let files = [
            ("--token-file", &run.token_file),
            ("--git-credentials", &run.git_credentials),
            ("--git-ssh-key", &run.git_ssh_key),
        ];
        let files = files.into_iter();
        Self {
            server: run.server.clone(),
            has_token: run.token_file.is_some() || run.token.is_some(),
            scratch: std::path::absolute(&run.scratch_dir)
                .unwrap_or_else(|_| run.scratch_dir.clone()),
            metrics_listen: run.metrics_listen,
            secrets: files
                .filter_map(|(setting, path)| Some((setting, path.clone()?)))
                .collect(),
        }
    }
}

/// Checks permissions. Blocking.
fn check_files(scratch: &Path, secrets: &[(&'static str, PathBuf)]) -> Vec<Check> {
    const NAME: &str = "scratch folder";
    // A folder that this user cannot see is not one that does not exist.
    let mut checks = vec![match scratch.try_exists().unwrap_or(true) {
        true => files::private_folder(NAME, scratch),
        false => Check::skipped(
            NAME,
            format!("the worker creates `{}` at its start", scratch.display()),
        ),
    }];
    let secrets = secrets.iter();
    checks.extend(secrets.map(|(setting, path)| files::secret(setting, path)));
    checks
}

/// Measures the disk of a folder that might not exist yet. Blocking.
fn check_disk(scratch: &Path, limit: u64) -> Check {
    const NAME: &str = "disk";
    let existing = scratch.ancestors().find(|folder| folder.exists());
    let folder = existing.unwrap_or(Path::new("/"));
    match buildbtw_metrics::space(folder) {
        Ok(space) => disk::for_builds(NAME, folder, space.available, limit, DISK_LIMIT),
        Err(error) => unmeasured(folder, &error),
    }
}

/// Returns the failure of a disk whose space is unknown.
fn unmeasured(folder: &Path, error: &io::Error) -> Check {
    Check::failure(
        "disk",
        format!("cannot measure the disk of `{}`: {error}", folder.display()),
        "check that disk, or set --scratch-dir",
    )
}

async fn check_server(report: &mut Report, config: Option<&Config>, facts: &Facts) {
    let token = Need {
        scope: TokenScope::Worker,
        create: TOKEN_HINT,
        is_optional: false,
    };
    let expected = Expected {
        version: VERSION,
        setting: "--server",
        // Without a configuration the token could not be read, which was reported.
        token: config.is_some().then_some(token),
        has_token: facts.has_token,
    };
    let client = match config {
        Some(config) => Ok(config.client.clone()),
        None => Client::new(&facts.server, None),
    };
    match client {
        Ok(client) => server::check_all(report, &client, expected, Timestamp::now).await,
        Err(error) => report.add(Check::failed("server", error.explanation(), CORRECT)),
    }
}

/// Checks programs and kernel, and builds a package.
async fn check_host(report: &mut Report, config: Option<Config>, facts: &Facts, no_build: bool) {
    // Another builder does not need the sandbox.
    let sandbox = match config.as_ref().map(|config| &config.builder) {
        Some(BuilderConfig::Simulated(_)) => {
            report.add(Check::skipped("sandbox", "the builder is simulated"));
            return;
        }
        Some(BuilderConfig::Sandboxed(sandbox)) => sandbox.clone(),
        None => SandboxConfig::new(&facts.scratch),
    };
    // The worker's own: attempts in it are locked one by one, and it removes what is left of a killed doctor.
    let sandbox = SandboxConfig {
        scratch_root: facts.scratch.join("sandbox"),
        ..sandbox
    };
    let created = missing(&sandbox.scratch_root);
    build_host::check_host(report, &sandbox).await;
    let limits = config.as_ref().map(|config| config.limits.clone());
    let architectures = config.map_or_else(machine::architectures, |config| config.architectures);
    match architectures.into_iter().find(is_native) {
        _ if no_build => report.add(Check::skipped(build_host::BUILD, "--no-build is set")),
        None => report.add(Check::skipped(
            build_host::BUILD,
            "none of --architectures is that of this machine",
        )),
        Some(architecture) => {
            let limits = limits.unwrap_or_default();
            build_host::check_build(report, sandbox, limits, architecture).await;
            remove_empty(&created);
        }
    }
}

/// Returns a folder and those above it that do not exist, the innermost first.
fn missing(folder: &Path) -> Vec<PathBuf> {
    let folders = folder.ancestors().take_while(|folder| !folder.exists());
    folders.map(Path::to_owned).collect()
}

/// Removes the folders that the build created, so that the worker creates them as its service manager wants.
fn remove_empty(folders: &[PathBuf]) {
    for folder in folders {
        // A worker that has started meanwhile uses it.
        if fs_err::remove_dir(folder).is_err() {
            return;
        }
    }
}

fn is_native(architecture: &Architecture) -> bool {
    architecture.as_str() == machine::architecture()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use buildbtw_doctor::Status;
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};

    async fn report(arguments: &[&str]) -> Report {
        let line = [
            "buildbtw-worker",
            "doctor",
            "--no-build",
            "--builder",
            "simulated",
        ];
        let Command::Doctor(args) = Cli::parse_from(line.iter().chain(arguments)).command else {
            panic!("another command");
        };
        examine(*args, Vec::new()).await
    }

    fn status(report: &Report, name: &str) -> Status {
        let mut checks = report.checks.iter();
        let check = checks.find(|check| check.name == name);
        check
            .unwrap_or_else(|| panic!("no {name} in {report:#?}"))
            .status
    }

    #[tokio::test]
    async fn checks_the_rest_when_the_token_file_cannot_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let scratch = folder.path().join("scratch").display().to_string();
        let token = folder.path().join("token").display().to_string();
        let arguments = ["--server", "http://127.0.0.1:1", "--scratch-dir", &scratch];
        let report = report(&[&arguments[..], &["--token-file", &token]].concat()).await;
        assert_eq!(status(&report, "configuration"), Status::Failure);
        assert_eq!(status(&report, "--token-file"), Status::Failure);
        assert_eq!(status(&report, "server"), Status::Failure);
        assert_eq!(status(&report, "clock"), Status::Skipped);
        assert_eq!(report.exit_code(), buildbtw_doctor::EXIT_FAILURE);
        assert!(!Path::new(&scratch).exists());
    }

    #[test]
    fn check_of_the_disk_matches_snapshot() {
        let error = io::Error::from(io::ErrorKind::PermissionDenied);
        let mut report = Report::new(PROGRAM, "1.0.0");
        report.add(unmeasured(Path::new("/srv/scratch"), &error));
        insta::assert_snapshot!(report.to_text());
    }

    #[test]
    fn removes_only_empty_folders_that_it_created() {
        let folder = tempfile::tempdir().unwrap();
        let (scratch, sandbox) = (folder.path().join("a"), folder.path().join("a/sandbox"));
        let created = missing(&sandbox);
        assert_eq!(created, [sandbox.clone(), scratch.clone()]);
        fs_err::create_dir_all(&sandbox).unwrap();
        assert!(missing(&sandbox).is_empty());
        fs_err::write(scratch.join("lock"), "").unwrap();
        remove_empty(&created);
        assert!(!sandbox.exists() && scratch.exists());
        fs_err::remove_file(scratch.join("lock")).unwrap();
        remove_empty(&created[1..]);
        assert!(!scratch.exists() && folder.path().exists());
    }

    #[test]
    fn names_scratch_folder_that_others_can_use() {
        let folder = tempfile::tempdir().unwrap();
        fs_err::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let checks = check_files(folder.path(), &[]);
        assert_eq!(checks[0].status, Status::Failure);
        assert!(
            checks[0]
                .repair
                .as_deref()
                .unwrap()
                .starts_with("chmod 700")
        );
        let disk = check_disk(&folder.path().join("new"), 0);
        assert_eq!(disk.status, Status::Ok);
    }
}
