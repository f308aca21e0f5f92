//! The root side, seen from the front: one process, one request.

use std::io::{self, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use buildbtw_model::PermissionDenied;
use nix::sys::signal::{SigSet, Signal};

use super::{Host, is_root};
use crate::config::PATH_VARIABLE;
use crate::failure::Failure;
use crate::frames::{Frame, Message};
use crate::root::{LOST, Request};
use crate::watch::Watch;

/// How long the root side may take to end after it was told to. It goes on without this process.
const PATIENCE: Duration = Duration::from_secs(8);
/// Of what it complains about, what is kept.
const MAX_COMPLAINT: usize = 4096;
/// Settings of the runner's environment that matter to whoever talks to the server.
const PASSED_ON: &[&str] = &[
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

/// A root side at work. It stops when this goes.
pub(crate) struct Privileged {
    child: Child,
    stdin: Stdin,
    stdout: ChildStdout,
    complaints: JoinHandle<String>,
    by_sudo: bool,
}

/// Has a request done that has no result.
pub(crate) fn ask(host: &Host, request: &Request) -> Result<(), Failure> {
    ask_while(host, request, &Watch::default())
}

/// The same for as long as the runner is there.
pub(crate) fn ask_while(host: &Host, request: &Request, watch: &Watch) -> Result<(), Failure> {
    let mut side = Privileged::start(host, request)?;
    side.stop_on_loss(watch);
    while let Some(frame) = side.next()? {
        if let Frame::Message(message) = frame {
            return side.end(host, message);
        }
    }
    Err(side.silence(host))
}

impl Privileged {
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
            // The runner's environment is full of what a job's author wrote.
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin")
            .env("LANG", "C.UTF-8")
            .env(PATH_VARIABLE, &host.config_path)
            .envs(
                PASSED_ON
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
        let missing = || Failure::system("the root side has no pipes");
        let mut stdin = child.stdin.take().ok_or_else(missing)?;
        let stdout = child.stdout.take().ok_or_else(missing)?;
        let stderr = child.stderr.take().ok_or_else(missing)?;
        let complaints = std::thread::spawn(move || pass_on(stderr));
        let mut line = serde_json::to_vec(request).map_err(io::Error::from)?;
        line.push(b'\n');
        // One that refuses to run says so on its other pipes.
        let _ = stdin.write_all(&line).and_then(|()| stdin.flush());
        Ok(Self {
            child,
            stdin: Arc::new(Mutex::new(Some(stdin))),
            stdout,
            complaints,
            by_sudo,
        })
    }

    /// Makes SIGTERM and the like stop the root side and then this process. Before any other thread.
    pub(crate) fn block_signals() -> Result<SigSet, Failure> {
        let mut signals = SigSet::empty();
        for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
            signals.add(signal);
        }
        signals.thread_block().map_err(io::Error::from)?;
        Ok(signals)
    }

    /// Stops the root side when one of the signals comes.
    pub(crate) fn stop_on(&self, signals: SigSet) {
        let stdin = Arc::clone(&self.stdin);
        std::thread::spawn(move || {
            if signals.wait().is_ok() {
                close(&stdin);
                // The end of the root side ends the program; this is for when it does not.
                std::thread::sleep(PATIENCE);
                std::process::exit(2);
            }
        });
    }

    /// Stops the root side when the runner gets lost, and tells it why: the runner's process may still be
    /// there.
    pub(crate) fn stop_on_loss(&self, watch: &Watch) {
        let stdin = Arc::clone(&self.stdin);
        watch.on_loss(move || {
            {
                let mut stdin = stdin.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(stdin) = stdin.as_mut() {
                    // One that has ended needs no word.
                    let _ = stdin
                        .write_all(LOST.as_bytes())
                        .and_then(|()| stdin.flush());
                }
            }
            close(&stdin);
        });
    }

    /// What the root side says next.
    pub(crate) fn next(&mut self) -> io::Result<Option<Frame>> {
        Frame::read(&mut self.stdout)
    }

    /// Waits for its end, and says what its last message means.
    pub(crate) fn end(mut self, host: &Host, last: Message) -> Result<(), Failure> {
        close(&self.stdin);
        self.child.wait()?;
        match last {
            Message::Done => Ok(()),
            Message::Failed {
                message,
                is_jobs_fault: true,
            } => Err(Failure::build(message)),
            Message::Failed { message, .. } => Err(Failure::system(message)),
            Message::Building { .. } | Message::Finished(_) | Message::File { .. } => {
                Err(self.silence(host))
            }
        }
    }

    /// What it means that the root side ended without a word.
    pub(crate) fn silence(mut self, host: &Host) -> Failure {
        close(&self.stdin);
        let status = match self.child.wait() {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        let complaints = self.complaints.join().unwrap_or_default();
        if self.by_sudo && sudo_cannot_execute(&complaints) {
            let program = &host.config.program;
            let denied = PermissionDenied::new(program, "root may not execute it");
            return Failure::Final(format!("{denied}\nsudo said: {}", complaints.trim()));
        }
        if self.by_sudo && complaints.contains("sudo:") {
            let user = nix::unistd::geteuid();
            let user = nix::unistd::User::from_uid(user)
                .ok()
                .flatten()
                .map_or_else(|| format!("#{user}"), |user| user.name);
            let program = host.config.program.display();
            return Failure::system(format!(
                "builds need root, and sudo does not let {user} start them.\n\
                 Add this line with `visudo -f /etc/sudoers.d/buildbtw-executor`:\n\n\
                 {user} ALL=(root) NOPASSWD: {program} as-root\n\n\
                 sudo said: {}",
                complaints.trim()
            ));
        }
        Failure::system(format!(
            "the root side ended without a result ({status}) {}",
            complaints.trim()
        ))
    }
}

/// Whether sudo allows the program but cannot start it: it calls one that is not executable a command
/// that it has not found.
fn sudo_cannot_execute(complaints: &str) -> bool {
    complaints
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

/// Copies what the root side complains about to the job's log, and keeps the beginning.
fn pass_on(mut stderr: impl io::Read) -> String {
    let mut kept = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = stderr.read(&mut buffer) {
        let bytes = buffer.get(..count).unwrap_or_default();
        let _ = io::stderr().write_all(bytes);
        let room = MAX_COMPLAINT.saturating_sub(kept.len());
        kept.extend(bytes.iter().take(room));
    }
    String::from_utf8_lossy(&kept).into_owned()
}
