//! The worker as a process.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::Process;
use crate::program::program;
use crate::server::Server;
use crate::small_disk::{DiskFiller, on_small_disk};

/// A running worker.
pub struct Worker {
    pub process: Process,
    scratch: PathBuf,
}

impl Worker {
    /// Starts a worker that builds for real.
    pub fn sandboxed(server: &Server, scratch: &Path) -> Self {
        Self::sandboxed_and(server, scratch, &[])
    }

    /// Starts a worker that builds for real, with more arguments.
    pub fn sandboxed_and(server: &Server, scratch: &Path, more: &[&str]) -> Self {
        let builder = ["--builder", "sandbox", "--jobs", "1"];
        Self::start(server, scratch, &[&builder[..], more].concat())
    }

    /// Starts a worker that builds for real, with credentials for git.
    pub fn sandboxed_with_credentials(server: &Server, scratch: &Path, file: &Path) -> Self {
        let file = file.display().to_string();
        let builder = ["--builder", "sandbox", "--git-credentials", &file];
        Self::start(server, scratch, &builder)
    }

    /// Starts a worker that simulates builds of `seconds` each.
    pub fn simulated(server: &Server, scratch: &Path, jobs: u32, seconds: &str) -> Self {
        let jobs = jobs.to_string();
        let builder = [
            "--builder",
            "simulated",
            "--simulated-seconds",
            seconds,
            "--jobs",
            &jobs,
        ];
        Self::start(server, scratch, &builder)
    }

    /// Starts a worker that simulates builds without delay, with more arguments.
    pub fn simulated_and(server: &Server, scratch: &Path, more: &[&str]) -> Self {
        let builder = ["--builder", "simulated", "--simulated-seconds", "0"];
        Self::start(server, scratch, &[&builder[..], more].concat())
    }

    /// Starts a worker that simulates builds, with its scratch folder on a small separate disk;
    /// needs root.
    pub fn simulated_on_small_disk(server: &Server, scratch: &Path, size: &str) -> Self {
        let builder = ["--builder", "simulated", "--simulated-seconds", "0"];
        let command = Self::command(server, scratch, &builder);
        let mut command = on_small_disk(&command, scratch, size);
        Self {
            process: Process::start("worker", &mut command),
            scratch: scratch.to_owned(),
        }
    }

    /// Starts a worker on a machine whose clock is wrong by some seconds. `shim` is the library
    /// that shifts it.
    pub fn simulated_with_clock(
        server: &Server,
        scratch: &Path,
        seconds: &str,
        shim: &Path,
        shift: i64,
    ) -> Self {
        let builder = ["--builder", "simulated", "--simulated-seconds", seconds];
        let mut command = Self::command(server, scratch, &builder);
        command
            .env("LD_PRELOAD", shim)
            .env("CLOCK_SHIFT", shift.to_string());
        Self {
            process: Process::start("worker", &mut command),
            scratch: scratch.to_owned(),
        }
    }

    /// Fills the disk of its scratch folder.
    pub fn fill_disk(&self) -> DiskFiller {
        DiskFiller::fill(self.process.id(), &self.scratch)
    }

    fn start(server: &Server, scratch: &Path, arguments: &[&str]) -> Self {
        Self {
            process: Process::start("worker", &mut Self::command(server, scratch, arguments)),
            scratch: scratch.to_owned(),
        }
    }

    fn command(server: &Server, scratch: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(program("buildbtw-worker"));
        command
            .arg("run")
            .args(["--server", &server.url(), "--token", &server.admin_token()])
            .args(["--name", "test", "--architectures", "x86_64"])
            .args(arguments)
            .arg("--scratch-dir")
            .arg(scratch)
            .env("NO_COLOR", "1");
        command
    }
}
