//! Runs the client.

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

/// Longer than any step takes on a slow and busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Runs the client with nothing in its environment but a home folder.
pub(crate) fn buildbtw(home: &Path, server: &str, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_buildbtw"));
    command
        .args(args)
        .env_clear()
        .env("HOME", home)
        .env("TZ", "UTC")
        .env("BUILDBTW_SERVER", server)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// Output and exit code of a finished run.
pub(crate) struct CommandOutput {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for CommandOutput {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// Runs it until it exits.
pub(crate) async fn run(home: &Path, server: &str, args: &[&str]) -> CommandOutput {
    let ran = buildbtw(home, server, args).output();
    tokio::time::timeout(PATIENCE, ran)
        .await
        .unwrap()
        .unwrap()
        .into()
}

/// A running client with which the test interacts.
pub(crate) struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    seen: Vec<String>,
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self {
            child,
            lines,
            seen: Vec::new(),
        }
    }

    /// Waits for a line that contains `part`, and returns it.
    pub(crate) async fn line(&mut self, part: &str) -> String {
        let wait = async {
            while let Some(line) = self.lines.next_line().await.unwrap() {
                self.seen.push(line.clone());
                if line.contains(part) {
                    return line;
                }
            }
            panic!("no line with {part:?} in {:#?}", self.seen);
        };
        tokio::time::timeout(PATIENCE, wait).await.unwrap()
    }

    pub(crate) fn interrupt(&self) {
        let id = self.child.id().unwrap().cast_signed();
        let id = nix::unistd::Pid::from_raw(id);
        nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGINT).unwrap();
    }

    /// Waits until it exits.
    pub(crate) async fn end(mut self) -> CommandOutput {
        let rest = async {
            while let Some(line) = self.lines.next_line().await.unwrap() {
                self.seen.push(line);
            }
            self.child.wait_with_output().await.unwrap()
        };
        let output = tokio::time::timeout(PATIENCE, rest).await.unwrap();
        CommandOutput {
            stdout: self.seen.join("\n"),
            ..CommandOutput::from(output)
        }
    }
}
