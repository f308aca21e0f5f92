//! Runs the helper, forwards its log, and stops it when it exceeds a limit of time or log size.

use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::helper::HELPER_ARGUMENT;
use super::job::{Job, Report};
use crate::failure::Failure;
use crate::log::{ErrorLines, Headings, LogSink, Piece};
use crate::programs::SEARCH_PATH;
use crate::stops;

/// How long a supervisor may take to kill its processes before it is killed itself.
const GRACE: Duration = Duration::from_secs(10);

/// The limits at which a helper is stopped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) time: Duration,
    pub(crate) silence: Duration,
    pub(crate) log_bytes: u64,
}

impl Bounds {
    /// For interactive commands.
    pub(crate) const NONE: Self = Self {
        time: Duration::MAX,
        silence: Duration::MAX,
        log_bytes: u64::MAX,
    };
}

/// Runs a job to its end. When this returns, none of its processes are left.
pub(crate) async fn run(
    helper: &Path,
    job: &Job,
    bounds: Bounds,
    log: &dyn LogSink,
    cancel: &CancellationToken,
) -> Report {
    match Running::start(helper, job).await {
        Ok(running) => running.finish(job, bounds, log, cancel).await,
        Err(error) => Report::Failed(not_started(helper, &error)),
    }
}

/// Returns the failure for a helper that could not be started.
fn not_started(helper: &Path, error: &io::Error) -> Failure {
    Failure::infrastructure(format!(
        "could not start the sandbox helper `{}`: {error}",
        helper.display()
    ))
}

/// Returns the failure for a helper that exited without a result. `how` describes its end.
fn no_result(how: &str) -> Failure {
    Failure::infrastructure(format!("the sandbox helper left no result ({how})")).see_log()
}

/// Returns the failure for a log that cannot be read.
fn unreadable_log(error: &io::Error) -> Failure {
    Failure::infrastructure(format!("could not read the build log: {error}"))
}

struct Running {
    child: Child,
    output: pipe::Receiver,
}

impl Running {
    async fn start(helper: &Path, job: &Job) -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        let mut command = Command::new(helper);
        command
            .arg(HELPER_ARGUMENT)
            .env_clear()
            .env("PATH", SEARCH_PATH)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(writer.try_clone()?)
            .stderr(writer)
            // Ctrl-C on a terminal is for this program, which then stops the helper.
            .process_group(0);
        let mut child = command.spawn()?;
        // The command holds the write ends of the pipe, which would keep the log from ending.
        drop(command);
        let output = pipe::Receiver::from_owned_fd(reader.into())?;
        let mut text = serde_json::to_vec(job).map_err(io::Error::other)?;
        text.push(b'\n');
        if let Some(stdin) = &mut child.stdin {
            stdin.write_all(&text).await?;
            stdin.flush().await?;
        }
        Ok(Self { child, output })
    }

    async fn finish(
        mut self,
        job: &Job,
        bounds: Bounds,
        log: &dyn LogSink,
        cancel: &CancellationToken,
    ) -> Report {
        let mut errors = ErrorLines::default();
        let mut headings = Headings::new(&job.mark);
        let stopped = self
            .follow(bounds, log, &mut headings, &mut errors, cancel)
            .await;
        // The supervisor kills all processes when its standard input is closed.
        drop(self.child.stdin.take());
        if stopped.is_some() {
            self.drain().await;
        }
        let status = self.child.wait().await;
        if let Some(failure) = stopped {
            return Report::Failed(failure);
        }
        let report = fs_err::read(&job.report)
            .ok()
            .and_then(|text| serde_json::from_slice(&text).ok());
        let mut report = report.unwrap_or_else(|| {
            let how = status.map_or_else(|e| e.to_string(), |status| status.to_string());
            Report::Failed(no_result(&how))
        });
        let Report::Failed(failure) = &mut report else {
            return report;
        };
        if let Some(limit) = failure.busy_disk.filter(|_| errors.reported_full_disk()) {
            failure.exceeds_disk(limit);
        }
        if failure.see_log {
            for line in errors.finish(failure.function.as_deref()) {
                failure.message.push('\n');
                failure.message.push_str(&line);
            }
        }
        report
    }

    /// Forwards the log until its end. Returns the reason if the helper has to be stopped earlier.
    async fn follow(
        &mut self,
        bounds: Bounds,
        log: &dyn LogSink,
        headings: &mut Headings,
        errors: &mut ErrorLines,
        cancel: &CancellationToken,
    ) -> Option<Failure> {
        let deadline = after(bounds.time);
        let mut silence_deadline = after(bounds.silence);
        let mut log = Bounded {
            log,
            left: bounds.log_bytes,
            is_full: false,
        };
        let mut buffer = vec![0; 1 << 16];
        loop {
            let count = tokio::select! {
                biased;
                () = cancel.cancelled() => return Some(stops::cancelled()),
                () = tokio::time::sleep_until(deadline) => {
                    return Some(stops::too_long(bounds.time));
                }
                () = tokio::time::sleep_until(silence_deadline) => {
                    return Some(stops::silent(bounds.silence));
                }
                read = self.output.read(&mut buffer) => match read {
                    Ok(0) => {
                        headings.finish(|piece| log.pass(piece, errors));
                        return None;
                    }
                    Ok(count) => count,
                    Err(error) => return Some(unreadable_log(&error)),
                },
            };
            silence_deadline = after(bounds.silence);
            let bytes = buffer.get(..count).unwrap_or_default();
            headings.feed(bytes, |piece| log.pass(piece, errors));
            if log.is_full {
                return Some(stops::log_too_large(bounds.log_bytes));
            }
        }
    }

    /// Discards the rest of the log until all processes have exited, so that none blocks on writing.
    async fn drain(&mut self) {
        let mut buffer = vec![0; 1 << 16];
        let rest = async {
            while matches!(self.output.read(&mut buffer).await, Ok(count) if count > 0) {}
        };
        if tokio::time::timeout(GRACE, rest).await.is_err() {
            // The death of the supervisor kills all other processes.
            if let Err(error) = self.child.start_kill() {
                tracing::warn!(%error, "could not kill the sandbox supervisor");
            }
        }
    }
}

/// A log with a size limit.
struct Bounded<'a> {
    log: &'a dyn LogSink,
    /// How many more bytes may be written.
    left: u64,
    /// Whether the limit was exceeded.
    is_full: bool,
}

impl Bounded<'_> {
    /// Forwards a piece of the log.
    fn pass(&mut self, piece: Piece<'_>, errors: &mut ErrorLines) {
        match piece {
            Piece::Output(bytes) => {
                self.write(bytes);
                errors.feed(bytes);
            }
            Piece::Heading(text) => {
                self.write(text.as_bytes());
                errors.next_step();
            }
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        let count = bytes.len();
        let fits = usize::try_from(self.left).map_or(count, |left| left.min(count));
        self.log.write(bytes.get(..fits).unwrap_or_default());
        self.left -= fits as u64;
        self.is_full |= fits < count;
    }
}

/// Returns the point in time after a duration; far in the future if the duration is too long to be added.
fn after(duration: Duration) -> Instant {
    const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
    Instant::now() + duration.min(YEAR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_match_snapshot() {
        let error = io::Error::from(io::ErrorKind::PermissionDenied);
        let text = crate::failure::recorded([
            (
                "helper that does not start",
                not_started(Path::new("/usr/bin/buildbtw-worker"), &error),
            ),
            ("helper without a result", no_result("signal: 9 (SIGKILL)")),
            ("unreadable log", unreadable_log(&error)),
        ]);
        insta::assert_snapshot!(text);
    }
}
