//! How a runner is set up.

use std::path::PathBuf;
use std::time::Duration;

/// How a runner is set up. What the real one takes from its `config.toml` has the same defaults,
/// but for times that a test would have to wait for.
#[derive(Clone, Debug)]
pub struct RunnerConfig {
    /// Where GitLab is.
    pub url: String,
    /// What the runner is known by there, `glrt-…`.
    pub token: String,
    /// What is run for everything.
    pub executor: PathBuf,
    /// What it is run with to say how it is set up. Empty: it is not asked.
    pub config_args: Vec<String>,
    /// What it is run with to prepare a job. Empty: it is not.
    pub prepare_args: Vec<String>,
    /// What it is run with for each stage; the script and the stage follow.
    pub run_args: Vec<String>,
    /// What it is run with to clean up. Empty: it is not.
    pub cleanup_args: Vec<String>,
    /// Where jobs are done, unless the executor says something else.
    pub builds_dir: Option<PathBuf>,
    /// Where caches are. The stand-in makes none, so that it is only for completeness.
    pub cache_dir: Option<PathBuf>,
    /// How long a process has between SIGTERM and SIGKILL.
    pub graceful_kill: Duration,
    /// How long a process is waited for after SIGKILL.
    pub force_kill: Duration,
    /// How long a stage is waited for after a job was aborted.
    pub abort_wait: Duration,
    /// How many jobs are done at once.
    pub concurrent: usize,
    /// How long to wait after GitLab had no job.
    pub poll_interval: Duration,
    /// How long to wait between attempts to prepare.
    pub prepare_retry_pause: Duration,
    /// The first pause of a call that GitLab was too busy for; it doubles.
    pub retry_pause: Duration,
    /// How long to ask for no jobs after GitLab has refused three times.
    pub unhealthy_interval: Duration,
    /// How often what a job printed is sent. `None`: as often as GitLab says.
    pub trace_interval: Option<Duration>,
    /// After how long GitLab is told that a job runs that prints nothing.
    pub keepalive: Duration,
    /// How long `after_script` may take.
    pub after_script_timeout: Duration,
    /// How much of what a job prints is kept, in bytes.
    pub output_limit: usize,
    /// Added to the environment of the executor.
    pub env: Vec<(String, String)>,
    /// Variables of every job, unless it sets them itself: `environment` of the real runner.
    pub environment: Vec<(String, String)>,
    /// The user and group that the executor is run as.
    pub run_as: Option<(u32, u32)>,
    /// What the stage of the step `script` is called: `build_script`, or `step_script` one day.
    pub step_script_name: String,
    /// A program that can do what `gitlab-runner artifacts-uploader` does: the `fake-runner` of this
    /// crate. It is put on the `PATH` of the executor under that name.
    pub helper: Option<PathBuf>,
    /// Whether every line of the log begins with the time; a job switches it off with `FF_TIMESTAMPS`.
    pub timestamps: bool,
    /// What this process of the runner is known by, `r_` and twelve letters or digits.
    pub system_id: String,
    /// What the runner is called.
    pub description: String,
}

impl RunnerConfig {
    /// A runner with an executor that takes `config`, `prepare`, `run` and `cleanup`.
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

    /// The same with times that suit tests: nothing is waited for longer than it must be.
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
