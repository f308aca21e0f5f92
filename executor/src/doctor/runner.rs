//! The configuration of gitlab-runner: that a runner starts this program for its jobs.

use std::io;
use std::path::{Path, PathBuf};

use buildbtw_doctor::Check;
use buildbtw_model::settings::read;
use serde::Deserialize;

const NAME: &str = "runner";
/// What shows the right configuration.
const EXAMPLE: &str = "complete it from config.toml.example, then restart gitlab-runner";
/// After this time gitlab-runner cleans up, whether or not a stage has ended.
const MAX_GRACE_SECONDS: u64 = 300;

/// The part of the configuration that concerns this program.
#[derive(Deserialize)]
struct Configuration {
    #[serde(default)]
    runners: Vec<Runner>,
}

#[derive(Deserialize)]
struct Runner {
    #[serde(default)]
    name: String,
    #[serde(default)]
    executor: String,
    #[serde(default)]
    token: String,
    #[serde(default)]
    custom: Option<Custom>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Custom {
    config_exec: PathBuf,
    config_args: Vec<String>,
    prepare_exec: PathBuf,
    prepare_args: Vec<String>,
    run_exec: PathBuf,
    run_args: Vec<String>,
    cleanup_exec: PathBuf,
    cleanup_args: Vec<String>,
    graceful_kill_timeout: Option<u64>,
}

/// Checks the configuration in a file. `program` is the path of this program, if that is known.
pub(super) fn check(path: &Path, program: Option<&Path>) -> Vec<Check> {
    let shown = path.display();
    let text = match read(path) {
        Ok(text) => text,
        Err(error) => return vec![unreadable(path, &error)],
    };
    judge(&text, program).unwrap_or_else(|reason| {
        let message = format!("cannot parse `{shown}`: {reason}");
        vec![Check::failure(
            NAME,
            message,
            "`gitlab-runner lint` shows the mistake",
        )]
    })
}

/// Returns what a file means that this user cannot read, or that does not exist.
fn unreadable(path: &Path, error: &io::Error) -> Check {
    let message = format!("cannot read `{}`: {error}", path.display());
    match error.kind() {
        // It belongs to root, and the runner's user is not allowed to read it.
        io::ErrorKind::PermissionDenied => Check::skipped(NAME, message),
        _ => Check::warning(
            NAME,
            message,
            "register a runner with `gitlab-runner register --executor custom`, or name its file \
             with --runner-config",
        ),
    }
}

fn judge(text: &str, program: Option<&Path>) -> Result<Vec<Check>, String> {
    let found: Configuration =
        toml::from_str(text).map_err(|error| error.message().replace('\n', ", "))?;
    let runners = found.runners.iter();
    let custom: Vec<_> = runners
        .filter(|runner| runner.executor == "custom")
        .collect();
    if custom.is_empty() {
        return Ok(vec![Check::failure(
            NAME,
            "no runner in its configuration has the executor `custom`",
            "register one with `gitlab-runner register --executor custom`",
        )]);
    }
    Ok(custom
        .into_iter()
        .map(|runner| judge_runner(runner, program))
        .collect())
}

fn judge_runner(runner: &Runner, program: Option<&Path>) -> Check {
    let name = format!("{NAME} {}", runner.name);
    if runner.token.is_empty() {
        let repair = "register it with `gitlab-runner register`";
        return Check::failure(name, "it has no token, so it is not registered", repair);
    }
    let Some(custom) = &runner.custom else {
        return Check::failure(name, "it has no section [runners.custom]", EXAMPLE);
    };
    let stages = [
        ("config", &custom.config_exec, &custom.config_args),
        ("prepare", &custom.prepare_exec, &custom.prepare_args),
        ("run", &custom.run_exec, &custom.run_args),
        ("cleanup", &custom.cleanup_exec, &custom.cleanup_args),
    ];
    let is_ours = |path: &Path| match program {
        Some(program) => path == program,
        None => path.ends_with("buildbtw-executor"),
    };
    for (stage, path, arguments) in stages {
        if !is_ours(path) {
            let message = match path.as_os_str().is_empty() {
                true => format!("{stage}_exec is not set"),
                false => format!(
                    "{stage}_exec is `{}`, which is not this program",
                    path.display()
                ),
            };
            return Check::failure(name, message, EXAMPLE);
        }
        // `--config FILE` may precede the operation.
        if arguments.last().map(String::as_str) != Some(stage) {
            let message = format!("{stage}_args must end with `{stage}`");
            return Check::failure(name, message, EXAMPLE);
        }
    }
    match custom.graceful_kill_timeout {
        Some(seconds) if seconds < MAX_GRACE_SECONDS => Check::ok(
            name,
            "it is registered, and starts this program in every stage",
        ),
        _ => Check::warning(
            name,
            format!("graceful_kill_timeout must be below {MAX_GRACE_SECONDS} seconds"),
            "set graceful_kill_timeout = 20, then restart gitlab-runner",
        ),
    }
}

#[cfg(test)]
mod tests {
    use buildbtw_doctor::Status;

    use super::*;

    const EXAMPLE_FILE: &str = include_str!("../../config.toml.example");
    const PROGRAM: &str = "/usr/bin/buildbtw-executor";

    fn judged(text: &str) -> Check {
        judge(text, Some(Path::new(PROGRAM))).unwrap().remove(0)
    }

    #[test]
    fn accepts_example() {
        let check = judged(EXAMPLE_FILE);
        assert_eq!(check.status, Status::Ok, "{check:?}");
        assert_eq!(check.name, "runner buildbtw");
    }

    #[test]
    fn checks_match_snapshot() {
        let folder = tempfile::tempdir().unwrap();
        let broken = folder.path().join("config.toml");
        fs_err::write(&broken, "runners = 1").unwrap();
        let shown = broken.to_str().unwrap();
        let unreadable = |kind| unreadable(Path::new("/etc/config.toml"), &io::Error::from(kind));
        let mistakes = [
            ("executor = \"custom\"", "executor = \"shell\""),
            ("token = \"glrt-…\"", "token = \"\""),
            ("[runners.custom]", "[runners.docker]"),
            (
                "run_exec = \"/usr/bin/buildbtw-executor\"",
                "run_exec = \"/bin/sh\"",
            ),
            ("run_exec = \"/usr/bin/buildbtw-executor\"", ""),
            ("cleanup_args = [\"cleanup\"]", ""),
            ("graceful_kill_timeout = 20", "graceful_kill_timeout = 600"),
        ];
        let mut report = buildbtw_doctor::Report::new("buildbtw-executor", "1.0.0");
        report.add(judged(EXAMPLE_FILE));
        report.extend(mistakes.map(|(from, to)| judged(&EXAMPLE_FILE.replace(from, to))));
        report.extend([
            unreadable(io::ErrorKind::NotFound),
            unreadable(io::ErrorKind::PermissionDenied),
        ]);
        report.extend(check(&broken, None));
        insta::assert_snapshot!(report.to_text().replace(shown, "/etc/config.toml"));
    }

    #[test]
    fn names_mistakes() {
        for (from, to, part, status) in [
            (
                "executor = \"custom\"",
                "executor = \"shell\"",
                "no runner in its",
                Status::Failure,
            ),
            (
                "token = \"glrt-…\"",
                "token = \"\"",
                "not registered",
                Status::Failure,
            ),
            (
                "run_exec = \"/usr/bin/buildbtw-executor\"",
                "run_exec = \"/bin/sh\"",
                "run_exec is `/bin/sh`",
                Status::Failure,
            ),
            (
                "cleanup_args = [\"cleanup\"]",
                "",
                "cleanup_args must",
                Status::Failure,
            ),
            (
                "graceful_kill_timeout = 20",
                "graceful_kill_timeout = 600",
                "below 300",
                Status::Warning,
            ),
            (
                "[runners.custom]",
                "[runners.docker]",
                "[runners.custom]",
                Status::Failure,
            ),
        ] {
            assert!(EXAMPLE_FILE.contains(from), "{from}");
            let check = judged(&EXAMPLE_FILE.replace(from, to));
            assert_eq!(check.status, status, "{check:?}");
            assert!(check.message.contains(part), "{check:?}");
            assert!(check.repair.is_some());
        }
        assert!(judge("runners = 1", None).is_err());
    }

    #[test]
    fn names_missing_configuration() {
        let check = check(Path::new("/nowhere/config.toml"), None).remove(0);
        assert_eq!(check.status, Status::Warning);
        assert!(check.repair.unwrap().contains("--runner-config"));
    }
}
