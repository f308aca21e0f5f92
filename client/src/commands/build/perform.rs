//! Performs a build on this machine, and prints its log and its outcome.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use buildbtw_builder::{BuildOutcome, BuildRequest, Builder, GitAccess, SandboxConfig};
use buildbtw_model::{Explanation, FailureKind};

use super::super::relay::{Relay, Takeover};
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
    let mut config = config(args, server).await?;
    let relay = match args.shell {
        true => Some(Relay::open(Takeover::AtFirstOutput)?),
        false => None,
    };
    config.terminal = relay.as_ref().map(Relay::terminal);
    let builder = Builder::sandboxed(config);
    fs_err::create_dir_all(&args.output)?;
    let output_dir = fs_err::canonicalize(&args.output)?;
    let log = LogPrinter::new(relay.as_ref().map(Relay::is_raw).unwrap_or_default());
    let sink = |bytes: &[u8]| log.print(bytes);
    let building = builder.build(request, &output_dir, &sink, cancel_on_signal()?);
    let outcome = match relay {
        Some(relay) => relay.during(building).await?,
        None => building.await,
    };
    if args.shell && outcome.is_success() {
        let output = &log.output;
        output.note("note: the package was built, so no shell was opened");
    }
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
    /// Whether the terminal needs a carriage return after each line.
    is_raw: Arc<AtomicBool>,
}

impl LogPrinter {
    fn new(is_raw: Arc<AtomicBool>) -> Self {
        let output = Output::new(None);
        Self {
            is_raw,
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
            Some(cleaner) => {
                let text = cleaner.feed(bytes);
                match self.is_raw.load(Ordering::Relaxed) {
                    true => self.output.bytes(&with_returns(&text)),
                    false => self.output.bytes(&text),
                }
            }
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

/// Returns a text with a carriage return before each end of a line.
fn with_returns(text: &[u8]) -> Vec<u8> {
    let mut returned = Vec::with_capacity(text.len());
    for byte in text {
        if *byte == b'\n' {
            returned.push(b'\r');
        }
        returned.push(*byte);
    }
    returned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_return_on_a_raw_terminal() {
        assert_eq!(with_returns(b"a\n\nb"), b"a\r\n\r\nb");
    }

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
