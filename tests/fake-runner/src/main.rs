//! Runs a stand-in for gitlab-runner, for the demo and tests with whole processes. Under the name `gitlab-runner` it is
//! the helper that the scripts of jobs call.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use buildbtw_fake_runner::{FakeRunner, RunnerConfig, helper};
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

/// A stand-in for gitlab-runner with the custom executor
#[derive(Debug, Parser)]
#[command(name = "fake-runner", version)]
struct Cli {
    /// URL of GitLab
    #[arg(long)]
    url: String,
    /// Authentication token of the runner, or @FILE to read it from a file
    #[arg(long)]
    token: String,
    /// Executable that runs every stage
    #[arg(long, value_name = "PATH")]
    executor: PathBuf,
    /// Folder of builds
    #[arg(long, value_name = "DIR")]
    builds_dir: PathBuf,
    /// Folder of caches
    #[arg(long, value_name = "DIR")]
    cache_dir: Option<PathBuf>,
    /// Number of concurrent jobs
    #[arg(long, default_value_t = 1)]
    concurrent: usize,
    /// Seconds between requests after there was no job
    #[arg(long, default_value_t = 1.0)]
    poll_interval: f64,
    /// Seconds between SIGTERM and SIGKILL
    #[arg(long, default_value_t = 20)]
    graceful_kill: u64,
    /// Name of the stage of a job's script
    #[arg(long, default_value = "build_script")]
    step_script_name: String,
    /// Seconds between log updates [default: as GitLab requests]
    #[arg(long)]
    trace_interval: Option<f64>,
    /// Variable of every job, like `environment` in the real runner's settings; may be repeated
    #[arg(long = "env", value_name = "NAME=VALUE", value_parser = variable)]
    environment: Vec<(String, String)>,
    /// Maximum size of a job's log in KiB
    #[arg(long, default_value_t = 4096)]
    output_limit: usize,
    /// Whether log lines begin with timestamps
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set)]
    timestamps: bool,
    /// Seconds between updates for a silent job
    #[arg(long, default_value_t = 30.0)]
    keepalive: f64,
}

fn variable(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text.split_once('=').ok_or("it is not NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

#[tokio::main]
async fn main() -> Result<()> {
    let called = std::env::args_os().next().unwrap_or_default();
    if Path::new(&called).file_name() == Some("gitlab-runner".as_ref()) {
        return helper::main().await;
    }
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env()
                .unwrap_or_else(|_| "fake_runner=info,buildbtw_fake_runner=info".into()),
        )
        .init();
    let cli = Cli::parse();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut quit = signal(SignalKind::quit())?;
    let token = match cli.token.strip_prefix('@') {
        Some(file) => fs_err::read_to_string(file)?.trim().to_owned(),
        None => cli.token,
    };
    let runner = FakeRunner::start(RunnerConfig {
        cache_dir: cli.cache_dir,
        concurrent: cli.concurrent,
        poll_interval: Duration::from_secs_f64(cli.poll_interval),
        graceful_kill: Duration::from_secs(cli.graceful_kill),
        step_script_name: cli.step_script_name,
        trace_interval: cli.trace_interval.map(Duration::from_secs_f64),
        helper: Some(std::env::current_exe()?),
        environment: cli.environment,
        output_limit: cli.output_limit.saturating_mul(1024),
        timestamps: cli.timestamps,
        keepalive: Duration::from_secs_f64(cli.keepalive),
        ..RunnerConfig::new(cli.url, token, cli.executor, cli.builds_dir)
    })?;
    tokio::select! {
        _ = terminate.recv() => runner.stop().await,
        _ = interrupt.recv() => runner.stop().await,
        _ = quit.recv() => runner.finish().await,
    }
    Ok(())
}
