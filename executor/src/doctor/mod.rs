//! `doctor`: reports the settings of this host, and whether it can run jobs. The root side does what needs root.

mod reaper;
mod runner;
mod settings;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use buildbtw_doctor::{Check, Report};
use buildbtw_model::Explanation;

use crate::config::trust;
use crate::failure::Failure;
use crate::front::{Host, privileged, script};
use crate::root::{PROGRAM, Request, VERSION, check_server};

/// The configuration of gitlab-runner, where its packages put it.
pub(crate) const RUNNER_CONFIG: &str = "/etc/gitlab-runner/config.toml";
/// What to do about settings without a hint of their own.
const CORRECT: &str = "correct it; executor.toml.example shows every setting";

/// What to check.
pub(crate) struct Options {
    /// The file of the settings.
    pub(crate) config: PathBuf,
    /// Whether to print JSON.
    pub(crate) is_json: bool,
    /// Whether to build a package.
    pub(crate) builds: bool,
    /// The configuration of gitlab-runner.
    pub(crate) runner_config: PathBuf,
}

/// Checks the host, and prints the report.
pub(crate) fn run(options: &Options) -> ExitCode {
    let report = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map(|runtime| runtime.block_on(examine(options)));
    let printed = report.and_then(|report| report.print(options.is_json));
    printed.map_or(ExitCode::FAILURE, ExitCode::from)
}

async fn examine(options: &Options) -> Report {
    let mut report = Report::new(PROGRAM, VERSION);
    report.add(check_trust(&options.config));
    let host = match Host::load(options.config.clone()) {
        Ok(host) => {
            report.add(Check::ok("configuration", "the settings can be used"));
            Some(host)
        }
        Err(failure) => {
            report.add(failed("configuration", &failure, CORRECT));
            None
        }
    };
    report.settings = settings::shown(&options.config, host.as_ref());
    let program = host.as_ref().map(|host| host.config.program.clone());
    report.extend(runner::check(&options.runner_config, program.as_deref()));
    report.add(reaper::check().await);
    match host {
        Some(host) => check_host(&mut report, &host, options.builds).await,
        None => report.add(Check::skipped(
            "host and server",
            "the settings cannot be used",
        )),
    }
    report
}

/// Checks that only root can change the settings.
fn check_trust(config: &Path) -> Check {
    const NAME: &str = "configuration file";
    let checked = std::path::absolute(config)
        .context("cannot find it")
        .and_then(|path| trust::check_file(&path));
    match checked {
        Ok(()) => Check::ok(NAME, format!("only root can change `{}`", config.display())),
        Err(error) => {
            let why = Explanation::of_error(error.as_ref());
            Check::failed(
                NAME,
                why,
                "create it from executor.toml.example, or name it with --config",
            )
        }
    }
}

/// The name of the check of gitlab-runner.
const RUNNER: &str = "gitlab-runner";

fn no_runner() -> Check {
    Check::failure(
        RUNNER,
        "it was not found, so jobs cannot have artifacts",
        "install gitlab-runner, or set `gitlab_runner` to its path",
    )
}

async fn check_host(report: &mut Report, host: &Host, builds: bool) {
    report.add(match host.config.gitlab_runner() {
        Some(path) => Check::ok(RUNNER, format!("`{}`", path.display())),
        None => no_runner(),
    });
    // It starts a process that ends at once.
    let environment = script::check(host);
    report.add(judge(
        "environment of scripts",
        environment,
        "it can be created",
    ));
    match privileged::checks(host, &Request::Doctor { build: builds }) {
        Ok(checks) => {
            report.add(Check::ok("root side", "it can be started"));
            report.extend(checks);
        }
        Err(failure) => {
            report.add(failed(
                "root side",
                &failure,
                "check `sudo` and `program` in executor.toml",
            ));
            // This side can still tell whether the server is reachable.
            check_server(report, &host.config).await;
        }
    }
    // The root side has created the state folder.
    let permissions = script::check_permissions(host);
    report.add(judge(
        "state folder",
        permissions,
        "scripts of jobs can reach it",
    ));
}

fn judge(name: &str, checked: Result<(), Failure>, message: &str) -> Check {
    match checked {
        Ok(()) => Check::ok(name, message),
        Err(failure) => failed(name, &failure, "repair what it names"),
    }
}

fn failed(name: &str, failure: &Failure, otherwise: &str) -> Check {
    Check::failed(name, failure.explanation(), otherwise)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_match_snapshot() {
        let mut report = Report::new(PROGRAM, "1.0.0");
        let failure = Failure::system("no hint");
        report.extend([
            check_trust(Path::new("/nonexistent/executor.toml")),
            no_runner(),
            failed("configuration", &failure, CORRECT),
            judge("state folder", Err(failure), "scripts of jobs can reach it"),
            reaper::judge(true),
            reaper::judge(false),
            reaper::no_systemd(),
        ]);
        insta::assert_snapshot!(report.to_text());
    }
}
