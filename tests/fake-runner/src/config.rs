//! The configuration of a runner.

use std::path::PathBuf;
use std::time::Duration;

/// The configuration of a runner. Settings of the real one's `config.toml` have the same defaults, except for times
/// that a test would have to wait for.
#[derive(Clone, Debug)]
pub struct RunnerConfig {
    /// GitLab's URL.
    pub url: String,
    /// The runner's authentication token, `glrt-…`.
    pub token: String,
    /// The executable that runs every stage.
    pub executor: PathBuf,
    /// Arguments for querying its configuration; if empty, it is not queried.
    pub config_args: Vec<String>,
    /// Arguments for preparing a job; if empty, jobs are not prepared.
    pub prepare_args: Vec<String>,
    /// Arguments for each stage, followed by the script and the stage.
    pub run_args: Vec<String>,
    /// Arguments for cleaning up; if empty, jobs are not cleaned up.
    pub cleanup_args: Vec<String>,
    /// The folder of builds, unless the executor sets another.
    pub builds_dir: Option<PathBuf>,
    /// The folder of caches. The stand-in has no caches, so it only appears in the environment.
    pub cache_dir: Option<PathBuf>,
    /// The time between SIGTERM and SIGKILL.
    pub graceful_kill: Duration,
    /// How long to wait for a process after SIGKILL.
    pub force_kill: Duration,
    /// How long to wait for a stage after the job was aborted.
    pub abort_wait: Duration,
    /// The number of concurrent jobs.
    pub concurrent: usize,
    /// The pause after a request that returned no job.
    pub poll_interval: Duration,
    /// The pause between attempts to prepare a job.
    pub prepare_retry_pause: Duration,
    /// The first pause after GitLab was overloaded; it doubles.
    pub retry_pause: Duration,
    /// How long to request no jobs after GitLab rejected three requests.
    pub unhealthy_interval: Duration,
    /// The interval of log updates. `None`: as GitLab requests.
    pub trace_interval: Option<Duration>,
    /// The interval of updates for a silent job.
    pub keepalive: Duration,
    /// The time limit of `after_script`.
    pub after_script_timeout: Duration,
    /// The maximum size of a job's log, in bytes.
    pub output_limit: usize,
    /// Additional environment of the executor.
    pub env: Vec<(String, String)>,
    /// Variables of every job, which it can override: `environment` of the real runner.
    pub environment: Vec<(String, String)>,
    /// The user and group of the executor.
    pub run_as: Option<(u32, u32)>,
    /// The name of the stage of `script`: `build_script`, or `step_script` in future versions.
    pub step_script_name: String,
    /// A program that can act as `gitlab-runner artifacts-uploader`: the `fake-runner` of this crate. It is put on the
    /// executor's `PATH` under that name.
    pub helper: Option<PathBuf>,
    /// Whether log lines begin with timestamps; a job can disable them with `FF_TIMESTAMPS`.
    pub timestamps: bool,
    /// The id of this runner process, `r_` and twelve letters or digits.
    pub system_id: String,
    /// The runner's description.
    pub description: String,
}

impl RunnerConfig {
    /// Returns the configuration for an executor with the subcommands `config`, `prepare`, `run` and `cleanup`.
    pub fn new(
        url: impl Into<String>,
        token: impl Into<String>,
        executor: impl Into<PathBuf>,
        builds_dir: impl Into<PathBuf>,
    ) -> Self {
        let argument = |text: &str| vec![text.to_owned()];
        Self {
            url: url.into(),
            token: token.into(),
            executor: executor.into(),
            config_args: argument("config"),
            prepare_args: argument("prepare"),
            run_args: argument("run"),
            cleanup_args: argument("cleanup"),
            builds_dir: Some(builds_dir.into()),
            cache_dir: None,
            graceful_kill: Duration::from_secs(600),
            force_kill: Duration::from_secs(10),
            abort_wait: Duration::from_secs(300),
            concurrent: 1,
            poll_interval: Duration::from_secs(3),
            prepare_retry_pause: Duration::from_secs(3),
            retry_pause: Duration::from_millis(100),
            unhealthy_interval: Duration::from_secs(3_600),
            trace_interval: None,
            keepalive: Duration::from_secs(30),
            after_script_timeout: Duration::from_secs(300),
            output_limit: 4 * 1024 * 1024,
            env: Vec::new(),
            environment: Vec::new(),
            run_as: None,
            step_script_name: "build_script".to_owned(),
            helper: None,
            timestamps: true,
            system_id: "r_fakerunner00".to_owned(),
            description: "fake-runner".to_owned(),
        }
    }

    /// Shortens all pauses for tests.
    #[must_use]
    pub fn fast(self) -> Self {
        Self {
            graceful_kill: Duration::from_secs(5),
            force_kill: Duration::from_secs(5),
            poll_interval: Duration::from_millis(20),
            prepare_retry_pause: Duration::from_millis(1),
            retry_pause: Duration::from_millis(1),
            trace_interval: Some(Duration::from_millis(20)),
            keepalive: Duration::from_millis(100),
            ..self
        }
    }
}
