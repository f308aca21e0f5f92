//! Runs commands in a persistent root.

use std::fs::File;
use std::io;
use std::path::Path;

use buildbtw_model::{AttemptId, Explanation};
use tokio_util::sync::CancellationToken;

use super::base::base_of;
use super::config::SandboxConfig;
use super::driver::{self, Bounds};
use super::job::{Job, Report, Task};
use super::root_command::RootCommand;
use super::scratch::Scratch;
use crate::log::{LogSink, Mark};

/// The error of a command in a root.
#[derive(Debug, thiserror::Error)]
#[error("{explanation}")]
pub struct RootError {
    /// What failed and why, and what to do next.
    pub explanation: Explanation,
}

/// Runs a command in a persistent root, and returns its exit code (128 + signal when killed).
///
/// # Errors
///
/// When the root cannot be created or `cancel` fires.
pub async fn run_in_root(
    config: &SandboxConfig,
    command: &RootCommand,
    log: &dyn LogSink,
    cancel: CancellationToken,
) -> Result<i32, RootError> {
    let report = run(config, command, log, &cancel)
        .await
        .map_err(|error| RootError {
            explanation: error.to_string().into(),
        })?;
    match report {
        Report::Exited(code) => Ok(code),
        Report::Failed(failure) => Err(RootError {
            explanation: failure.explanation(),
        }),
        Report::Built { .. } => Err(RootError {
            explanation: "the sandbox helper reported a build, not an exit code".into(),
        }),
    }
}

async fn run(
    config: &SandboxConfig,
    command: &RootCommand,
    log: &dyn LogSink,
    cancel: &CancellationToken,
) -> io::Result<Report> {
    if command.command.is_empty() {
        return Err(io::Error::other("no command was given"));
    }
    // Two overlays over the same folders would corrupt each other.
    fs_err::create_dir_all(&command.dir)?;
    let lock = lock_file(&command.dir)?;
    let scratch = Scratch::create(&config.scratch_root, &AttemptId::new().to_string(), None)?;
    let mut command = command.clone();
    command.dir = std::path::absolute(&command.dir)?;
    for bind in &mut command.binds {
        bind.source = std::path::absolute(&bind.source)?;
    }
    let job = Job {
        task: Task::Run(Box::new(command)),
        base: base_of(config).await?,
        // Files keep their owners, so a root always has the same range.
        first_uid: config.uid_base,
        cgroup_procs: Vec::new(),
        rlimits: None,
        report: std::path::absolute(scratch.report())?,
        mark: Mark::random()?,
    };
    let report = driver::run(&config.helper, &job, Bounds::NONE, log, cancel).await;
    drop(lock);
    scratch.remove().await?;
    Ok(report)
}

fn lock_file(dir: &Path) -> io::Result<File> {
    let folder = fs_err::File::open(dir)?.into_parts().0;
    folder
        .try_lock()
        .map_err(|_| io::Error::other(format!("{} is in use by another command", dir.display())))?;
    Ok(folder)
}
