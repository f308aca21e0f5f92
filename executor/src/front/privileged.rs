//! Starts the root side from the front: one process per request.

use std::io::{self, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use buildbtw_doctor::Check;
use buildbtw_model::PermissionDenied;
use nix::sys::signal::{SigSet, Signal};

use super::{Host, is_root};
use crate::config::PATH_VARIABLE;
use crate::explanations;
use crate::failure::Failure;
use crate::frames::{Frame, Message};
use crate::root::{LOST, Request};
use crate::watch::Watch;

/// How long the front waits for a stopped root side, which ends by itself afterwards.
const STOP_TIMEOUT: Duration = Duration::from_secs(8);
/// How much of the root side's standard error is kept for error messages, in bytes.
const MAX_STDERR: usize = 4096;
/// Variables of the runner's environment that connections to the server need.
const PASSED_VARIABLES: &[&str] = &[
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

type Stdin = Arc<Mutex<Option<ChildStdin>>>;

/// A running root side. It stops when this is dropped.
pub(crate) struct RootSide {
    child: Child,
    stdin: Stdin,
    stdout: ChildStdout,
    stderr: JoinHandle<String>,
    by_sudo: bool,
}

/// Runs a request that returns no data.
pub(crate) fn request(host: &Host, request: &Request) -> Result<(), Failure> {
    request_while(host, request, &Watch::default())
}

/// Runs a request that returns no data, and stops it when the runner is gone.
pub(crate) fn request_while(host: &Host, request: &Request, watch: &Watch) -> Result<(), Failure> {
    let mut side = RootSide::start(host, request)?;
    side.stop_on_runner_exit(watch);
    while let Some(frame) = side.next_frame()? {
        if let Frame::Message(message) = frame {
            return side.finish(host, message);
        }
    }
    Err(side.missing_result(host))
}

/// Asks the root side for its checks.
pub(crate) fn checks(host: &Host, request: &Request) -> Result<Vec<Check>, Failure> {
    let mut side = RootSide::start(host, request)?;
    let mut checks = Vec::new();
    while let Some(frame) = side.next_frame()? {
        match frame {
            Frame::Message(Message::Checks(found)) => checks.extend(found),
            Frame::Message(message) => return side.finish(host, message).map(|()| checks),
            Frame::Log(_) | Frame::Data(_) => {}
        }
    }
    Err(side.missing_result(host))
}

impl RootSide {
    /// Starts the root side with a request.
    pub(crate) fn start(host: &Host, request: &Request) -> Result<Self, Failure> {
        let by_sudo = !is_root() && !host.config.sudo.as_os_str().is_empty();
        let mut command = if by_sudo {
            let mut command = Command::new(&host.config.sudo);
            command.arg("-n").arg(&host.config.program);
            command
        } else {
            Command::new("/proc/self/exe")
        };
        command
            .arg("as-root")
            // The job's author controls many variables of the runner's environment.
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin")
            .env("LANG", "C.UTF-8")
            .env(PATH_VARIABLE, &host.config_path)
            .envs(
                PASSED_VARIABLES
                    .iter()
                    .filter_map(|name| Some((name, std::env::var_os(name)?))),
            )
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| {
            Failure::not_started(Path::new(command.get_program()), None, &error)
        })?;
        let missing = || Failure::system("the root side was started without pipes");
        let mut stdin = child.stdin.take().ok_or_else(missing)?;
        let stdout = child.stdout.take().ok_or_else(missing)?;
        let stderr = child.stderr.take().ok_or_else(missing)?;
        let stderr = std::thread::spawn(move || forward(stderr));
        let mut line = serde_json::to_vec(request).map_err(io::Error::from)?;
        line.push(b'\n');
        // A root side that fails to start reports it on its other pipes.
        let _ = stdin.write_all(&line).and_then(|()| stdin.flush());
        Ok(Self {
            child,
            stdin: Arc::new(Mutex::new(Some(stdin))),
            stdout,
            stderr,
            by_sudo,
        })
    }

    /// Blocks the signals that stop a stage, for [`Self::stop_on`]. To be called before other threads start.
    pub(crate) fn block_signals() -> Result<SigSet, Failure> {
        let mut signals = SigSet::empty();
        for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
            signals.add(signal);
        }
        signals.thread_block().map_err(io::Error::from)?;
        Ok(signals)
    }

    /// Stops the root side, and then this process, on one of the signals.
    pub(crate) fn stop_on(&self, signals: SigSet) {
        let stdin = Arc::clone(&self.stdin);
        std::thread::spawn(move || {
            if signals.wait().is_ok() {
                close(&stdin);
                // Usually the end of the root side ends this process before.
                std::thread::sleep(STOP_TIMEOUT);
                std::process::exit(2);
            }
        });
    }

    /// Stops the root side when the runner is gone, and sends the reason: if only the output was closed, the root side
    /// cannot see it.
    pub(crate) fn stop_on_runner_exit(&self, watch: &Watch) {
        let stdin = Arc::clone(&self.stdin);
        watch.on_runner_exit(move || {
            {
                let mut stdin = stdin.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(stdin) = stdin.as_mut() {
                    // Fails when the root side has ended already.
                    let _ = stdin
                        .write_all(LOST.as_bytes())
                        .and_then(|()| stdin.flush());
                }
            }
            close(&stdin);
        });
    }

    /// Reads the next frame. Returns `None` when the root side has ended.
    pub(crate) fn next_frame(&mut self) -> io::Result<Option<Frame>> {
        Frame::read(&mut self.stdout)
    }

    /// Waits for the end of the root side, and returns the result from its last message.
    pub(crate) fn finish(mut self, host: &Host, last: Message) -> Result<(), Failure> {
        close(&self.stdin);
        self.child.wait()?;
        match last {
            Message::Done => Ok(()),
            Message::Failed {
                explanation,
                is_jobs_fault: true,
            } => Err(Failure::build(explanation)),
            Message::Failed { explanation, .. } => Err(Failure::system(explanation)),
            Message::Checks(_)
            | Message::Building { .. }
            | Message::Finished(_)
            | Message::File { .. } => Err(self.missing_result(host)),
        }
    }

    /// Returns the failure for a root side that ended without a result.
    pub(crate) fn missing_result(mut self, host: &Host) -> Failure {
        close(&self.stdin);
        let status = match self.child.wait() {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        let stderr = self.stderr.join().unwrap_or_default();
        if self.by_sudo && sudo_cannot_execute(&stderr) {
            let program = &host.config.program;
            let denied = PermissionDenied::new(program, "root is not allowed to execute it");
            return Failure::Final {
                explanation: format!("{denied}\nsudo: {}", sudo_message(&stderr)).into(),
                denied: Some(denied),
            };
        }
        if self.by_sudo && stderr.contains("sudo:") {
            let user = nix::unistd::geteuid();
            let user = nix::unistd::User::from_uid(user)
                .ok()
                .flatten()
                .map_or_else(|| format!("#{user}"), |user| user.name);
            let (program, reason) = (&host.config.program, sudo_message(&stderr));
            return Failure::system(explanations::sudo_refused(&user, program, reason));
        }
        Failure::system(explanations::root_side_died(status, &stderr))
    }
}

/// Returns sudo's message without its name.
fn sudo_message(stderr: &str) -> &str {
    let message = stderr.trim();
    message.strip_prefix("sudo: ").unwrap_or(message)
}

/// Returns whether sudo permits the program but cannot start it. It reports a program that is not executable as a
/// command that was not found.
fn sudo_cannot_execute(stderr: &str) -> bool {
    stderr
        .lines()
        .filter(|line| line.starts_with("sudo: "))
        .any(|line| {
            line.ends_with(": command not found")
                || line.starts_with("sudo: unable to execute ")
                    && line.ends_with(": Permission denied")
        })
}

fn close(stdin: &Stdin) {
    stdin.lock().unwrap_or_else(PoisonError::into_inner).take();
}

/// Copies the root side's standard error to the job's log, and returns its beginning.
fn forward(mut stderr: impl io::Read) -> String {
    let mut kept = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = stderr.read(&mut buffer) {
        let bytes = buffer.get(..count).unwrap_or_default();
        let _ = io::stderr().write_all(bytes);
        let room = MAX_STDERR.saturating_sub(kept.len());
        kept.extend(bytes.iter().take(room));
    }
    String::from_utf8_lossy(&kept).into_owned()
}
