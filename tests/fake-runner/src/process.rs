//! Runs the executor in a process group of its own, which is stopped as a whole.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use buildbtw_builder::{RunAs, permission_denied};
use buildbtw_model::PermissionDenied;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

use crate::trace::{Stream, Trace};

/// A program to run.
pub(crate) struct Program {
    pub(crate) path: PathBuf,
    pub(crate) arguments: Vec<OsString>,
    pub(crate) folder: PathBuf,
    /// The whole environment.
    pub(crate) environment: BTreeMap<OsString, OsString>,
    pub(crate) run_as: Option<(u32, u32)>,
}

/// The destination of output.
#[derive(Clone, Debug)]
pub(crate) enum Sink {
    /// Into the job's log.
    Log(Trace, Stream),
    /// The runner itself.
    Kept,
    /// The runner's own log.
    Own,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// With this exit code.
    Code(i32),
    /// By a signal.
    Signal(i32),
    /// It survived SIGKILL.
    Abandoned,
    /// It could not be started.
    NotRun,
}

/// The time limits for stopping a process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StopTimeouts {
    pub(crate) graceful: Duration,
    pub(crate) force: Duration,
}

/// The result of a process.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    pub(crate) exit: Exit,
    /// Its output, if that was kept; if it could not be started, the reason.
    pub(crate) output: Vec<u8>,
    /// Whether it was stopped.
    pub(crate) stopped: bool,
}

/// Runs a program until it exits or is stopped.
pub(crate) async fn run(
    program: &Program,
    output: Sink,
    errors: Sink,
    stop: &CancellationToken,
    stop_timeouts: StopTimeouts,
) -> Ended {
    let mut command = Command::new(&program.path);
    command
        .args(&program.arguments)
        .current_dir(&program.folder)
        .env_clear()
        .envs(&program.environment)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    if let Some((user, group)) = program.run_as {
        command.uid(user).gid(group);
    }
    let mut child = match spawn(&mut command).await {
        Ok(child) => child,
        Err(error) => {
            let text = not_run(program, &error);
            if let (Sink::Log(trace, _), Some(denied)) = (&errors, denied(program, &error)) {
                // As the executor does, so that the server finds the folder.
                trace.error(&denied.to_string());
                if let Ok(line) = denied.to_line() {
                    trace.error(&line);
                }
            }
            tracing::warn!(text, "cannot run the executor");
            return Ended {
                exit: Exit::NotRun,
                output: text.into_bytes(),
                stopped: false,
            };
        }
    };
    let group = child.id().and_then(|id| i32::try_from(id).ok());
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let mut kept = Vec::new();
    let mut stopped = false;
    let exit = {
        // It has ended when no process holds its output open. As with the real runner, a process that was left behind
        // delays that.
        let whole = async {
            let (exit, bytes, _) = tokio::join!(
                wait(&mut child),
                read(stdout, &output),
                read(stderr, &errors)
            );
            (exit, bytes)
        };
        tokio::pin!(whole);
        tokio::select! {
            (exit, bytes) = &mut whole => {
                kept = bytes;
                exit
            }
            () = stop.cancelled() => {
                stopped = true;
                signal(group, Signal::SIGTERM);
                match tokio::time::timeout(stop_timeouts.graceful, &mut whole).await {
                    Ok((exit, _)) => exit,
                    Err(_) => {
                        signal(group, Signal::SIGKILL);
                        let killed = tokio::time::timeout(stop_timeouts.force, &mut whole).await;
                        killed.map_or(Exit::Abandoned, |(exit, _)| exit)
                    }
                }
            }
        }
    };
    Ended {
        exit,
        output: kept,
        stopped,
    }
}

/// Formats the error like the real runner.
fn not_run(program: &Program, error: &std::io::Error) -> String {
    let path = program.path.display();
    match error.kind() {
        ErrorKind::PermissionDenied => format!("fork/exec {path}: permission denied"),
        ErrorKind::NotFound => format!("fork/exec {path}: no such file or directory"),
        _ => format!("fork/exec {path}: {error}"),
    }
}

/// Returns the folder that causes the error.
fn denied(program: &Program, error: &std::io::Error) -> Option<PermissionDenied> {
    let user = program.run_as.map(|(uid, gid)| RunAs { uid, gid });
    (error.kind() == ErrorKind::PermissionDenied)
        .then(|| {
            permission_denied(&program.path, user)
                .or_else(|| permission_denied(&program.folder, user))
        })
        .flatten()
}

/// The number of attempts to run a program that appears to be open for writing.
const BUSY_ATTEMPTS: u32 = 100;

/// Starts a process. A concurrently forked one may briefly hold a file open that was just written.
async fn spawn(command: &mut Command) -> std::io::Result<Child> {
    for _ in 1..BUSY_ATTEMPTS {
        match command.spawn() {
            Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            other => return other,
        }
    }
    command.spawn()
}

fn signal(group: Option<i32>, signal: Signal) {
    if let Some(group) = group {
        // The process group may already be gone.
        let _ = killpg(Pid::from_raw(group), signal);
    }
}

async fn wait(child: &mut Child) -> Exit {
    match child.wait().await {
        Ok(status) => exit_of(status),
        Err(_) => Exit::Abandoned,
    }
}

fn exit_of(status: ExitStatus) -> Exit {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, Some(signal)) => Exit::Signal(signal),
        (None, None) => Exit::Abandoned,
    }
}

async fn read(from: Option<impl AsyncRead + Unpin>, sink: &Sink) -> Vec<u8> {
    let mut kept = Vec::new();
    let Some(mut from) = from else { return kept };
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(count) = from.read(&mut buffer).await {
        if count == 0 {
            break;
        }
        let bytes = &buffer[..count];
        match sink {
            Sink::Log(trace, stream) => trace.print(*stream, bytes),
            Sink::Kept => kept.extend_from_slice(bytes),
            Sink::Own => tracing::debug!(text = %String::from_utf8_lossy(bytes), "executor"),
        }
    }
    if let Sink::Log(trace, stream) = sink {
        trace.end(*stream);
    }
    kept
}
