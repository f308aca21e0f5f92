//! Runs commands in a persistent root.

use std::fs::File;
use std::path::Path;

use buildbtw_model::{AttemptId, Explanation};
use tokio_util::sync::CancellationToken;

use super::base::base_of;
use super::config::SandboxConfig;
use super::driver::{self, Bounds};
use super::job::{Job, Report, Task};
use super::root_command::RootCommand;
use super::scratch::Scratch;
use crate::failure::Failure;
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
    let report = run(config, command, log, &cancel).await?;
    match report {
        Report::Exited(code) => Ok(code),
        Report::Failed(failure) => Err(failure.into()),
        Report::Built { .. } => Err(other_report().into()),
    }
}

impl From<Failure> for RootError {
    fn from(failure: Failure) -> Self {
        Self {
            explanation: failure.explanation(),
        }
    }
}

/// Returns the failure for an empty command.
fn no_command() -> Failure {
    Failure::infrastructure("no command was given").hint("name one, for example `bash`")
}

/// Returns the failure for a root in which another command runs.
fn in_use(dir: &Path) -> Failure {
    Failure::infrastructure(format!("{} is in use by another command", dir.display()))
        .hint("wait for its end, or choose another folder")
}

/// Returns the failure for a helper of another task.
fn other_report() -> Failure {
    Failure::infrastructure("the sandbox helper reported a build, not an exit code")
}

async fn run(
    config: &SandboxConfig,
    command: &RootCommand,
    log: &dyn LogSink,
    cancel: &CancellationToken,
) -> Result<Report, Failure> {
    if command.command.is_empty() {
        return Err(no_command());
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
        terminal: config.terminal.clone(),
        report: std::path::absolute(scratch.report())?,
        mark: Mark::random()?,
    };
    let report = driver::run(&config.helper, &job, Bounds::NONE, log, cancel).await;
    drop(lock);
    scratch.remove().await?;
    Ok(report)
}

fn lock_file(dir: &Path) -> Result<File, Failure> {
    let folder = fs_err::File::open(dir)?.into_parts().0;
    folder.try_lock().map_err(|_| in_use(dir))?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_match_snapshot() {
        let text = crate::failure::recorded([
            ("no command", no_command()),
            ("two commands", in_use(Path::new("/srv/root"))),
            ("other report", other_report()),
        ]);
        insta::assert_snapshot!(text);
    }
}
