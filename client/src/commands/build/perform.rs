//! Performs a build on this machine, and prints its log and its outcome.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use buildbtw_builder::{BuildOutcome, BuildRequest, Builder, GitAccess, SandboxConfig};
use buildbtw_model::{Explanation, FailureKind};

use super::super::sandbox::{builder_error, cancel_on_signal, sandbox_config};
use crate::cli::{BuildArgs, GitArgs};
use crate::error::Result;
use crate::output::{LogCleaner, Output, clean, report};

/// The exit code of a build that failed.
const EXIT_FAILED: u8 = 1;
/// The exit code of a build that was interrupted.
const EXIT_INTERRUPTED: u8 = 130;

/// Builds into the folder of `--output`, and prints the log. `server` is the address of the server that described the
/// build.
pub(super) async fn perform(
    args: &BuildArgs,
    server: Option<&str>,
    request: &BuildRequest,
) -> Result<BuildOutcome> {
    let builder = Builder::sandboxed(config(args, server).await?);
    fs_err::create_dir_all(&args.output)?;
    let output_dir = fs_err::canonicalize(&args.output)?;
    let log = LogPrinter::new();
    let sink = |bytes: &[u8]| log.print(bytes);
    let outcome = builder
        .build(request, &output_dir, &sink, cancel_on_signal()?)
        .await;
    log.finish();
    Ok(outcome)
}

async fn config(args: &BuildArgs, server: Option<&str>) -> Result<SandboxConfig> {
    let mut config = sandbox_config(args.base_root.as_deref()).await?;
    config
        .allow_source_networks
        .clone_from(&args.allow_source_networks);
    config.git = git_access(&args.git)?;
    config.server = server.map(str::to_owned);
    Ok(config)
}

/// Returns the credentials of git, which is started in another folder.
fn git_access(args: &GitArgs) -> Result<GitAccess> {
    let absolute = |path: Option<&PathBuf>| path.map(std::path::absolute).transpose();
    let git = GitAccess {
        credentials: absolute(args.git_credentials.as_ref())?,
        ssh_key: absolute(args.git_ssh_key.as_ref())?,
        ssh_known_hosts: absolute(args.git_known_hosts.as_ref())?,
        ca: absolute(args.git_ca.as_ref())?,
    };
    git.check().map_err(builder_error)?;
    Ok(git)
}

/// Prints the packages or the failure, and returns the exit code. `is_changed` returns whether the kept PKGBUILD differs
/// from what people have anyway.
///
/// # Errors
/// When the fault is this machine's.
pub(super) fn conclude(
    outcome: BuildOutcome,
    is_changed: impl FnOnce(&Path) -> bool,
) -> Result<u8> {
    let (packages, notes, pkgbuild) = match outcome {
        BuildOutcome::Succeeded {
            packages,
            notes,
            pkgbuild,
        } => (packages, notes, pkgbuild),
        BuildOutcome::Failed { kind, explanation } => return failed(kind, explanation),
    };
    let output = &Output::new(None);
    for note in notes {
        output.note(format_args!("note: {}", clean(&note)));
    }
    if let Some(path) = pkgbuild.filter(|path| is_changed(path)) {
        output.note(format_args!(
            "note: the PKGBUILD was changed for this build and saved as {}",
            path.display()
        ));
    }
    for package in packages {
        output.line(package.path.display())?;
    }
    Ok(0)
}

fn failed(kind: FailureKind, explanation: Explanation) -> Result<u8> {
    let code = match kind {
        FailureKind::Package | FailureKind::Timeout | FailureKind::Memory => EXIT_FAILED,
        FailureKind::Cancelled => EXIT_INTERRUPTED,
        FailureKind::Infrastructure => {
            return Err(builder_error(
                explanation.map(|message| format!("the build failed ({kind}): {message}")),
            ));
        }
    };
    let message = format!("the build failed ({kind}): {}", explanation.message);
    report(&message, explanation.hint.as_deref());
    Ok(code)
}

/// Prints the log while it grows.
struct LogPrinter {
    output: Output,
    cleaner: Mutex<Option<LogCleaner>>,
}

impl LogPrinter {
    fn new() -> Self {
        let output = Output::new(None);
        Self {
            cleaner: Mutex::new(output.terminal.then(LogCleaner::for_stdout)),
            output,
        }
    }

    fn print(&self, bytes: &[u8]) {
        let mut cleaner = self
            .cleaner
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        // The build continues without a reader: its packages are the result.
        let _ = match cleaner.as_mut() {
            Some(cleaner) => self.output.bytes(&cleaner.feed(bytes)),
            None => self.output.bytes(bytes),
        };
    }

    fn finish(self) {
        let cleaner = self
            .cleaner
            .into_inner()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(cleaner) = cleaner {
            let _ = self.output.bytes(&cleaner.finish());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_code_tells_failed_builds_from_broken_machines() {
        let code = |kind| conclude(BuildOutcome::failed(kind, "no"), |_| true).ok();
        assert_eq!(code(FailureKind::Package), Some(1));
        assert_eq!(code(FailureKind::Timeout), Some(1));
        assert_eq!(code(FailureKind::Memory), Some(1));
        assert_eq!(code(FailureKind::Cancelled), Some(130));
        assert_eq!(code(FailureKind::Infrastructure), None);
    }
}
