//! A runner that runs the jobs of a [`Forge`] through `buildbtw-executor`: the stand-in, or the real
//! gitlab-runner when `GITLAB_RUNNER` names one.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::processes::{Process, Server};
use super::{Forge, program};

/// Names the program of a real runner.
const REAL: &str = "GITLAB_RUNNER";

/// A runner with the executor, and the folder of its state.
pub struct Runner {
    pub process: Process,
    state: PathBuf,
}

impl Runner {
    /// Starts one that builds for real.
    pub fn sandboxed(forge: &Forge, server: &Server, folder: &Path) -> Self {
        let credentials = forge.credentials();
        let settings = format!("git_credentials = {credentials:?}\n");
        Self::start(forge, server, folder, &settings, 1)
    }

    /// Starts one that makes tiny packages in no time, several at once.
    pub fn simulated(forge: &Forge, server: &Server, folder: &Path, jobs: usize) -> Self {
        let settings = "builder = { simulated = { seconds = 0 } }\n";
        Self::start(forge, server, folder, settings, jobs)
    }

    fn start(forge: &Forge, server: &Server, folder: &Path, settings: &str, jobs: usize) -> Self {
        let state = folder.join("executor");
        std::fs::create_dir_all(&state).unwrap();
        let real = std::env::var_os(REAL).map(PathBuf::from);
        // Scripts of jobs call it by this name.
        let helper = folder.join("gitlab-runner");
        let target = real.clone().unwrap_or_else(|| program("fake-runner"));
        std::os::unix::fs::symlink(target, &helper).unwrap();
        let config = folder.join("executor.toml");
        let text = format!(
            "server = {:?}\nstate_dir = {state:?}\nname = \"builder-1\"\n\
             architectures = [\"x86_64\"]\ngitlab_runner = {helper:?}\n{settings}",
            server.url()
        );
        std::fs::write(&config, text).unwrap();
        let token = forge.runner_token.clone().unwrap();
        let mut command = match real {
            Some(real) => real_runner(&real, forge.gitlab.url(), &token, folder, jobs),
            None => {
                eprintln!(
                    "NOTE: not run with a real gitlab-runner but with the stand-in; \
                     {REAL}=/path/to/gitlab-runner runs it with one"
                );
                stand_in(forge.gitlab.url(), &token, folder, jobs)
            }
        };
        command
            .env("BUILDBTW_EXECUTOR_CONFIG", &config)
            .env("NO_COLOR", "1");
        Self {
            process: Process::start("runner", &mut command),
            state,
        }
    }

    /// What is left of jobs: nothing, once they have ended.
    pub fn leftovers(&self) -> Vec<PathBuf> {
        ["jobs", "root/jobs", "root/sandbox"]
            .iter()
            .filter_map(|folder| std::fs::read_dir(self.state.join(folder)).ok())
            .flatten()
            .map(|entry| entry.unwrap().path())
            .collect()
    }
}

fn stand_in(url: &str, token: &str, folder: &Path, jobs: usize) -> Command {
    let mut command = Command::new(program("fake-runner"));
    command
        .args(["--url", url, "--token", token])
        .arg("--executor")
        .arg(program("buildbtw-executor"))
        .arg("--builds-dir")
        .arg(folder.join("builds"))
        .args(["--concurrent", &jobs.to_string()])
        .args(["--poll-interval", "0.1", "--trace-interval", "0.2"]);
    command
}

fn real_runner(real: &Path, url: &str, token: &str, folder: &Path, jobs: usize) -> Command {
    let executor = program("buildbtw-executor");
    let stages: String = ["config", "prepare", "run", "cleanup"]
        .iter()
        .map(|stage| format!("{stage}_exec = {executor:?}\n{stage}_args = [\"{stage}\"]\n"))
        .collect();
    let text = format!(
        "concurrent = {jobs}\ncheck_interval = 1\n[[runners]]\nname = \"test\"\nurl = {url:?}\n\
         token = {token:?}\nexecutor = \"custom\"\nshell = \"bash\"\nrequest_concurrency = {jobs}\n\
         [runners.feature_flags]\nFF_TIMESTAMPS = false\n[runners.custom]\n{stages}\
         graceful_kill_timeout = 20\nforce_kill_timeout = 10\n"
    );
    let config = folder.join("config.toml");
    std::fs::write(&config, text).unwrap();
    std::fs::set_permissions(&config, Permissions::from_mode(0o600)).unwrap();
    let mut command = Command::new(real);
    // `run-single` does one job after the other; `run` as many at once as it may.
    if jobs == 1 {
        command.args(["run-single", "--config"]).arg(&config);
        command.args(["--runner", "test", "--wait-timeout", "600"]);
    } else {
        command.args(["run", "--config"]).arg(&config);
    }
    // Its settings are not to come from somebody's environment.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("RUNNER_") || text.starts_with("CI_SERVER_") {
            command.env_remove(&name);
        }
    }
    command
}
