//! One attempt to prepare a job: its temporary folder, and the executor's configuration.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use crate::calls::{Journal, Subcommand};
use crate::config::RunnerConfig;
use crate::job::Job;
use crate::process::{self, Ended, Exit, Program, Sink, StopTimeouts};
use crate::trace::{Stream, Trace};
use crate::variables::Variables;

/// The exit code for failures of the job.
const BUILD_FAILURE: i32 = 1;
/// The exit code for failures of the executor.
const SYSTEM_FAILURE: i32 = 2;

/// The executor's response to `config`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Setup {
    pub(crate) builds_dir: Option<PathBuf>,
    pub(crate) builds_dir_is_shared: bool,
    pub(crate) driver: Option<Driver>,
    pub(crate) job_env: BTreeMap<String, String>,
}

/// The executor's name and version.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Driver {
    pub(crate) name: Option<String>,
    pub(crate) version: Option<String>,
}

/// Why a stage did not succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The job's own failure.
    Build { exit_code: i64 },
    /// The executor failed.
    System(String),
    /// It was stopped.
    Stopped,
}

/// An attempt to prepare and run a job.
pub(crate) struct Attempt<'a> {
    pub(crate) config: &'a RunnerConfig,
    pub(crate) job: &'a Job,
    pub(crate) trace: &'a Trace,
    pub(crate) journal: &'a Journal,
    /// The folder that comes first in `PATH`.
    pub(crate) helper: Option<&'a Path>,
    pub(crate) folder: PathBuf,
    pub(crate) setup: Setup,
}

impl<'a> Attempt<'a> {
    pub(crate) fn new(
        config: &'a RunnerConfig,
        job: &'a Job,
        trace: &'a Trace,
        journal: &'a Journal,
        helper: Option<&'a Path>,
    ) -> Result<Self> {
        // A killed runner leaves it behind, and its executor running.
        let folder = tempfile::Builder::new()
            .prefix("custom-executor")
            .tempdir()
            .context("cannot create a folder for a job")?
            .keep();
        let response = folder.join("response.json");
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&response)
            .with_context(|| format!("cannot write {}", response.display()))?;
        serde_json::to_writer(&mut file, job)?;
        if let Some((user, group)) = config.run_as {
            for path in [&folder, &response] {
                std::os::unix::fs::chown(path, Some(user), Some(group))?;
            }
        }
        Ok(Self {
            config,
            job,
            trace,
            journal,
            helper,
            folder,
            setup: Setup::default(),
        })
    }

    pub(crate) fn exit_code_file(&self) -> PathBuf {
        self.folder.join("build_exit_code")
    }

    /// Removes the temporary folder with all scripts.
    pub(crate) fn remove(&self) {
        if let Err(error) = fs_err::remove_dir_all(&self.folder) {
            tracing::warn!(%error, "cannot remove the folder of a job");
        }
    }

    /// Returns the whole environment; later variables win.
    fn environment(&self, variables: &Variables) -> BTreeMap<OsString, OsString> {
        let mut all: BTreeMap<OsString, OsString> = std::env::vars_os().collect();
        let mut set = |key: &str, value: &OsStr| {
            all.insert(key.into(), value.into());
        };
        for (key, value) in &self.config.env {
            set(key, value.as_ref());
        }
        if let Some(helper) = self.helper {
            let mut path = helper.as_os_str().to_owned();
            let own = self.config.env.iter().find(|(key, _)| key == "PATH");
            let rest = match own {
                Some((_, value)) => Some(OsString::from(value)),
                None => std::env::var_os("PATH"),
            };
            if let Some(rest) = rest {
                path.push(":");
                path.push(rest);
            }
            set("PATH", &path);
        }
        set("TMPDIR", self.folder.as_os_str());
        set(
            "BUILD_FAILURE_EXIT_CODE",
            BUILD_FAILURE.to_string().as_ref(),
        );
        set(
            "SYSTEM_FAILURE_EXIT_CODE",
            SYSTEM_FAILURE.to_string().as_ref(),
        );
        set("BUILD_EXIT_CODE_FILE", self.exit_code_file().as_ref());
        set(
            "JOB_RESPONSE_FILE",
            self.folder.join("response.json").as_ref(),
        );
        for (key, value) in &self.setup.job_env {
            set(key, value.as_ref());
        }
        for (variable, value) in variables.all() {
            set(&format!("CUSTOM_ENV_{}", variable.key), value.as_ref());
        }
        set("CUSTOM_ENV_CI_JOB_SERVICES", OsStr::new(""));
        all
    }

    pub(crate) async fn run(
        &self,
        what: Subcommand,
        arguments: Vec<OsString>,
        variables: &Variables,
        stop: &CancellationToken,
    ) -> Ended {
        let (output, errors) = match &what {
            Subcommand::Config => (Sink::Kept, Sink::Log(self.trace.clone(), Stream::Err)),
            Subcommand::Cleanup => (Sink::Own, Sink::Own),
            Subcommand::Prepare | Subcommand::Run(_) => (
                Sink::Log(self.trace.clone(), Stream::Out),
                Sink::Log(self.trace.clone(), Stream::Err),
            ),
        };
        let program = Program {
            path: self.config.executor.clone(),
            arguments,
            folder: self.folder.clone(),
            environment: self.environment(variables),
            run_as: self.config.run_as,
        };
        let stop_timeouts = StopTimeouts {
            graceful: self.config.graceful_kill,
            force: self.config.force_kill,
        };
        let place = self.journal.begin(self.job.id, what);
        let result = process::run(&program, output, errors, stop, stop_timeouts).await;
        self.journal.end(place, result.exit);
        result
    }

    /// Interprets an exit.
    pub(crate) fn interpret(&self, result: &Ended) -> Result<(), Failure> {
        if result.stopped {
            return Err(Failure::Stopped);
        }
        let other = |text: String| {
            Err(Failure::System(format!(
                "unknown Custom executor executable exit code {text}"
            )))
        };
        match result.exit {
            Exit::Code(0) => Ok(()),
            Exit::Code(BUILD_FAILURE) => Err(self.build_failure()),
            Exit::Code(SYSTEM_FAILURE) => {
                Err(Failure::System(format!("exit status {SYSTEM_FAILURE}")))
            }
            Exit::Code(code) => other(code.to_string()),
            Exit::Signal(signal) => other(format!("-1 (signal {signal})")),
            Exit::NotRun => Err(Failure::System(
                String::from_utf8_lossy(&result.output).into_owned(),
            )),
            Exit::Abandoned => other("-1".to_owned()),
        }
    }

    /// Returns the job's failure. The file with its exit code is shared by all stages, and is not emptied between them.
    fn build_failure(&self) -> Failure {
        let file = self.exit_code_file();
        let Ok(text) = fs_err::read_to_string(&file) else {
            return Failure::Build {
                exit_code: BUILD_FAILURE.into(),
            };
        };
        let first = text.lines().next().unwrap_or_default().trim();
        match first.parse() {
            Ok(exit_code) => Failure::Build { exit_code },
            Err(_) => Failure::System(format!("cannot read the exit code of a build: {first:?}")),
        }
    }

    /// Queries the executor's configuration, and has it prepare the job.
    pub(crate) async fn prepare(
        &mut self,
        variables: impl Fn(&Setup) -> Variables,
        stop: &CancellationToken,
    ) -> Result<(), Failure> {
        if !self.config.config_args.is_empty() {
            let known = variables(&self.setup);
            let arguments = os_strings(&self.config.config_args);
            let result = self.run(Subcommand::Config, arguments, &known, stop).await;
            self.interpret(&result)?;
            self.setup = parse(&result.output)?;
        }
        if let Some(driver) = &self.setup.driver
            && let Some(name) = &driver.name
        {
            let version = driver.version.as_deref().unwrap_or_default();
            let text = format!("Using Custom executor with driver {name} {version}");
            self.trace.line(&format!("{}...", text.trim_end()));
        } else {
            self.trace.line("Using Custom executor...");
        }
        if !self.config.prepare_args.is_empty() && self.builds_dir().is_some() {
            let known = variables(&self.setup);
            let arguments = os_strings(&self.config.prepare_args);
            let result = self.run(Subcommand::Prepare, arguments, &known, stop).await;
            self.interpret(&result)?;
        }
        Ok(())
    }

    pub(crate) fn builds_dir(&self) -> Option<PathBuf> {
        let own = self.setup.builds_dir.as_ref();
        own.or(self.config.builds_dir.as_ref()).cloned()
    }

    /// Has the executor run a script.
    pub(crate) async fn stage(
        &self,
        name: &str,
        script: &str,
        variables: &Variables,
        stop: &CancellationToken,
    ) -> Result<(), Failure> {
        let file = self.write_script(script);
        let file = file.map_err(|error| Failure::System(format!("{error:#}")))?;
        let mut arguments = os_strings(&self.config.run_args);
        arguments.push(file.into());
        arguments.push(name.into());
        let what = Subcommand::Run(name.to_owned());
        let result = self.run(what, arguments, variables, stop).await;
        self.interpret(&result)
    }

    fn write_script(&self, script: &str) -> Result<PathBuf> {
        let folder = tempfile::Builder::new()
            .prefix("script")
            .tempdir_in(&self.folder)?
            .keep();
        let file = folder.join("script");
        fs_err::write(&file, script)?;
        fs_err::set_permissions(&file, std::fs::Permissions::from_mode(0o700))?;
        if let Some((user, group)) = self.config.run_as {
            for path in [&folder, &file] {
                std::os::unix::fs::chown(path, Some(user), Some(group))?;
            }
        }
        Ok(file)
    }

    /// Has the executor clean up, even after a stop. Its result does not matter.
    pub(crate) async fn clean_up(&self, variables: &Variables) {
        if !self.config.cleanup_args.is_empty() {
            let arguments = os_strings(&self.config.cleanup_args);
            let never = CancellationToken::new();
            let result = self
                .run(Subcommand::Cleanup, arguments, variables, &never)
                .await;
            if result.exit != Exit::Code(0) {
                tracing::warn!(job = self.job.id, exit = ?result.exit, "cleaning up failed");
            }
        }
        self.remove();
    }
}

fn os_strings(arguments: &[String]) -> Vec<OsString> {
    arguments.iter().map(OsString::from).collect()
}

fn parse(output: &[u8]) -> Result<Setup, Failure> {
    if output.iter().all(u8::is_ascii_whitespace) {
        return Ok(Setup::default());
    }
    serde_json::from_slice(output)
        .map_err(|error| Failure::System(format!("error while parsing JSON output: {error}")))
}
