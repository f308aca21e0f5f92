//! Runs commands in a root: forwards their output, enforces deadlines and interprets their exit.

use std::fs::File;
use std::io::{self, PipeReader, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::process::{Child, ExitStatus, Output, Stdio};
use std::time::Instant;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::bwrap::Sandboxed;
use super::failures;
use crate::failure::{Context as _, Failure};
use crate::log::Lines;

/// Runs the rest of a command line in a session whose terminal is its standard input; the exit code is that of a shell.
/// The session of bubblewrap has none, so that the command cannot reach the terminal of this program.
const IN_SESSION: [&str; 7] = [
    "setsid",
    "--wait",
    "--ctty",
    "bash",
    "-c",
    // Interrupts are for the command: setsid(1) reports the signal that ended its child as another exit code.
    "trap : INT QUIT; \"$@\"; exit $?",
    "session",
];

impl Sandboxed<'_> {
    /// Runs a command on a terminal.
    pub(super) fn run_on(&self, command: &[&str], terminal: &File) -> Result<ExitStatus, Failure> {
        let command = [&IN_SESSION[..], command].concat();
        let copy = || terminal.try_clone().map(Stdio::from);
        let mut child = self.start(&command, copy()?, copy()?, Some(copy()?))?;
        child.wait().context("waiting for the sandbox")
    }

    /// Runs a command; its output goes to the log.
    pub(super) fn run(&self, command: &[&str]) -> Result<ExitStatus, Failure> {
        self.spawn(command, Stdio::inherit(), None)?
            .wait()
            .context("waiting for the sandbox")
    }

    /// Runs a command; its output goes to the log and, line by line, to `each`.
    pub(super) fn watch(
        &self,
        command: &[&str],
        mut each: impl FnMut(&str),
    ) -> Result<ExitStatus, Failure> {
        self.watch_while(command, |line| {
            each(line);
            true
        })
    }

    /// Watches like [`Sandboxed::watch`], but kills the command when `each` returns false.
    pub(super) fn watch_while(
        &self,
        command: &[&str],
        mut each: impl FnMut(&str) -> bool,
    ) -> Result<ExitStatus, Failure> {
        let (mut child, mut reader) = self.piped(command)?;
        let mut lines = Lines::default();
        let mut buffer = vec![0; 1 << 16];
        loop {
            let bytes = pass(&mut reader, &mut buffer)?;
            if bytes.is_empty() {
                break;
            }
            let mut goes_on = true;
            lines.feed(bytes, |line| goes_on &= each(line));
            if !goes_on {
                child.kill().context("stopping the sandbox")?;
                break;
            }
        }
        lines.finish(|line| {
            each(line);
        });
        child.wait().context("waiting for the sandbox")
    }

    /// Runs a command until a deadline; its output goes to the log. Returns `None` if it was killed.
    pub(super) fn run_until(
        &self,
        command: &[&str],
        deadline: Instant,
    ) -> Result<Option<ExitStatus>, Failure> {
        let (mut child, mut reader) = self.piped(command)?;
        let mut buffer = vec![0; 1 << 16];
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            let mut watched = [PollFd::new(reader.as_fd(), PollFlags::POLLIN)];
            match poll(&mut watched, timeout) {
                Err(nix::Error::EINTR) => continue,
                result => result.context("waiting for the sandbox")?,
            };
            if left.is_zero() {
                child.kill().context("stopping the sandbox")?;
                child.wait().context("waiting for the sandbox")?;
                return Ok(None);
            }
            let is_silent = watched[0].any() == Some(false);
            if !is_silent && pass(&mut reader, &mut buffer)?.is_empty() {
                return child.wait().map(Some).context("waiting for the sandbox");
            }
        }
    }

    /// Starts a command with its output connected to a pipe.
    fn piped(&self, command: &[&str]) -> Result<(Child, PipeReader), Failure> {
        let (reader, writer) = io::pipe()?;
        let errors = writer.try_clone()?;
        let child = self.spawn(command, writer.into(), Some(errors.into()))?;
        Ok((child, reader))
    }

    /// Runs a command of the package's code and returns its standard output, which must be shorter than
    /// `most` bytes.
    pub(super) fn output_within(
        &self,
        command: &[&str],
        most: u64,
    ) -> Result<(ExitStatus, Vec<u8>), Failure> {
        let mut child = self.spawn(command, Stdio::piped(), None)?;
        let mut text = Vec::new();
        if let Some(stdout) = child.stdout.take() {
            stdout.take(most).read_to_end(&mut text)?;
        }
        if text.len() as u64 == most {
            child.kill().context("stopping the sandbox")?;
            child.wait().context("waiting for the sandbox")?;
            return Err(failures::printing_pkgbuild(most));
        }
        let status = child.wait().context("waiting for the sandbox")?;
        Ok((status, text))
    }

    /// Runs a command and returns its standard output.
    pub(super) fn output(&self, command: &[&str]) -> Result<Output, Failure> {
        self.spawn(command, Stdio::piped(), None)?
            .wait_with_output()
            .context("waiting for the sandbox")
    }
}

/// Forwards a piece of a command's output to the log, and returns it; empty at the end.
fn pass<'a>(reader: &mut PipeReader, buffer: &'a mut [u8]) -> Result<&'a [u8], Failure> {
    let count = loop {
        match reader.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => break read.context("reading a tool's output")?,
        }
    };
    let bytes = buffer.get(..count).unwrap_or_default();
    let mut out = io::stdout().lock();
    // Without a reader, the supervisor is about to kill this process.
    let _ = out.write_all(bytes).and_then(|()| out.flush());
    Ok(bytes)
}

/// Returns the exit code of a command as shells report it.
pub(super) fn exit_code(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt as _;
    status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal))
        .unwrap_or(255)
}

/// Returns the output of a command as text.
pub(super) fn text(output: Output) -> Result<String, Failure> {
    String::from_utf8(output.stdout)
        .map_err(io::Error::other)
        .context("reading a tool's output")
}
