//! A runner that runs the jobs of a [`Forge`] through `buildbtw-executor`: the stand-in, or the
//! real gitlab-runner if `GITLAB_RUNNER` names one.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::forge::Forge;
use crate::process::Process;
use crate::program::program;
use crate::server::Server;

/// The variable that names the program of a real runner.
const REAL: &str = "GITLAB_RUNNER";

/// Builds that take no time.
pub const QUICK: &str = "builder = { simulated = { seconds = 0 } }\n";
/// Builds that end only when they are stopped, and print nothing meanwhile.
pub const SILENT: &str = "builder = { simulated = { seconds = 86400 } }\n";

/// The configuration of a runner.
#[derive(Clone, Copy)]
pub struct Settings<'a> {
    /// Lines of `executor.toml`.
    pub executor: &'a str,
    /// The number of jobs that it runs concurrently.
    pub jobs: usize,
    /// Variables of every job, as `environment` in `config.toml`: `NAME=VALUE`.
    pub environment: &'a [&'a str],
    /// The log limit of a job, in KiB.
    pub output_limit: usize,
}

impl Default for Settings<'_> {
    fn default() -> Self {
        Self {
            executor: QUICK,
            jobs: 2,
            environment: &[],
            output_limit: 4096,
        }
    }
}

/// A runner with the executor, and the folder of its state.
pub struct Runner {
    pub process: Process,
    state: PathBuf,
}

impl Runner {
    /// Starts a runner with real builds.
    pub fn sandboxed(forge: &Forge, server: &Server, folder: &Path) -> Self {
        let credentials = forge.credentials();
        let executor = format!("git_credentials = {credentials:?}\n");
        let settings = Settings {
            executor: &executor,
            jobs: 1,
            ..Settings::default()
        };
        Self::start(forge, server, folder, settings)
    }

    /// Starts a runner that simulates tiny packages without delay, several concurrently.
    pub fn simulated(forge: &Forge, server: &Server, folder: &Path, jobs: usize) -> Self {
        let settings = Settings {
            jobs,
            ..Settings::default()
        };
        Self::start(forge, server, folder, settings)
    }

    /// Starts a runner, possibly in the folder of a previous one.
    pub fn start(forge: &Forge, server: &Server, folder: &Path, settings: Settings<'_>) -> Self {
        let state = folder.join("executor");
        std::fs::create_dir_all(&state).unwrap();
        // Its jobs run as another user, who may lack access to the folder of this workspace.
        let programs = folder.join("programs");
        std::fs::create_dir_all(&programs).unwrap();
        for open in [folder, &programs] {
            std::fs::set_permissions(open, Permissions::from_mode(0o755)).unwrap();
        }
        let real = std::env::var_os(REAL).map(PathBuf::from);
        let runner = real.clone().unwrap_or_else(|| program("fake-runner"));
        // Scripts of jobs call it by this name.
        let helper = publish(&runner, &programs.join("gitlab-runner"));
        let executor = publish(
            &program("buildbtw-executor"),
            &programs.join("buildbtw-executor"),
        );
        let config = folder.join("executor.toml");
        let text = format!(
            "server = {:?}\nstate_dir = {state:?}\nname = \"builder-1\"\n\
             architectures = [\"x86_64\"]\ngitlab_runner = {helper:?}\n{}",
            server.url(),
            settings.executor
        );
        std::fs::write(&config, text).unwrap();
        let host = RunnerHost {
            url: forge.gitlab.url(),
            token: forge.runner_token.as_deref().unwrap(),
            executor: &executor,
            folder,
            settings,
        };
        let mut command = match real {
            Some(real) => host.real_runner(&real),
            None => {
                eprintln!(
                    "NOTE: not run with a real gitlab-runner but with the stand-in; \
                     {REAL}=/path/to/gitlab-runner runs it with one"
                );
                host.stand_in()
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

    /// Sends a signal to the runner only.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.process.id().try_into().unwrap());
        kill(pid, signal).unwrap();
    }

    /// Returns the process that currently runs a stage of a job.
    pub fn front(&self, job: u64) -> Option<Pid> {
        self.pid(&format!("jobs/{job}"))
    }

    /// Returns the process that currently builds for a job.
    pub fn root_side(&self, job: u64) -> Option<Pid> {
        self.pid(&format!("root/jobs/{job}"))
    }

    fn pid(&self, folder: &str) -> Option<Pid> {
        let text = std::fs::read_to_string(self.state.join(folder).join("pid")).ok()?;
        text.parse().ok().map(Pid::from_raw)
    }

    /// Returns the files left of jobs: none, once they have ended.
    pub fn leftovers(&self) -> Vec<PathBuf> {
        leftovers(&self.state)
    }

    /// Kills it with SIGKILL, and returns the folder of its jobs.
    pub fn kill_hard(self) -> PathBuf {
        self.process.kill_hard();
        self.state
    }
}

/// Returns the files left of jobs in the state folder of a runner.
pub fn leftovers(state: &Path) -> Vec<PathBuf> {
    ["jobs", "root/jobs", "root/sandbox"]
        .iter()
        .filter_map(|folder| std::fs::read_dir(state.join(folder)).ok())
        .flatten()
        .map(|entry| entry.unwrap().path())
        .collect()
}

/// Copies a program to where every user can run it.
fn publish(program: &Path, public: &Path) -> PathBuf {
    if !public.exists() && std::fs::hard_link(program, public).is_err() {
        std::fs::copy(program, public).unwrap();
    }
    public.to_owned()
}

/// The folder in which a runner runs.
struct RunnerHost<'a> {
    url: &'a str,
    token: &'a str,
    executor: &'a Path,
    folder: &'a Path,
    settings: Settings<'a>,
}

impl RunnerHost<'_> {
    fn stand_in(&self) -> Command {
        let mut command = Command::new(program("fake-runner"));
        command
            .args(["--url", self.url, "--token", self.token])
            .arg("--executor")
            .arg(self.executor)
            .arg("--builds-dir")
            .arg(self.folder.join("builds"))
            .args(["--concurrent", &self.settings.jobs.to_string()])
            .args(["--output-limit", &self.settings.output_limit.to_string()])
            .args(["--poll-interval", "0.1", "--trace-interval", "0.2"])
            // A silent job notices its cancellation at the next update.
            .args(["--keepalive", "0.5"]);
        for variable in self.settings.environment {
            command.args(["--env", variable]);
        }
        command
    }

    fn real_runner(&self, real: &Path) -> Command {
        let (jobs, executor) = (self.settings.jobs, self.executor);
        let stages: String = ["config", "prepare", "run", "cleanup"]
            .iter()
            .map(|stage| format!("{stage}_exec = {executor:?}\n{stage}_args = [\"{stage}\"]\n"))
            .collect();
        let text = format!(
            "concurrent = {jobs}\ncheck_interval = 1\nshutdown_timeout = 60\n[[runners]]\n\
             name = \"test\"\nurl = {:?}\ntoken = {:?}\nexecutor = \"custom\"\nshell = \"bash\"\n\
             request_concurrency = {jobs}\nenvironment = {:?}\noutput_limit = {}\n\
             [runners.custom]\n{stages}graceful_kill_timeout = 20\nforce_kill_timeout = 10\n",
            self.url, self.token, self.settings.environment, self.settings.output_limit
        );
        let config = self.folder.join("config.toml");
        std::fs::write(&config, text).unwrap();
        std::fs::set_permissions(&config, Permissions::from_mode(0o600)).unwrap();
        let mut command = Command::new(real);
        // `run-single` runs one job after the other; `run` as many concurrently as configured.
        if jobs == 1 {
            command.args(["run-single", "--config"]).arg(&config);
            command.args(["--runner", "test", "--wait-timeout", "600"]);
        } else {
            command.args(["run", "--config"]).arg(&config);
        }
        // Its settings must not come from the environment of the tests.
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("RUNNER_") || text.starts_with("CI_SERVER_") {
                command.env_remove(&name);
            }
        }
        command
    }
}
