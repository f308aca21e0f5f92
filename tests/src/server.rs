//! The server as a process.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use buildbtw_model::client::Client;

use crate::forge::Forge;
use crate::process::Process;
use crate::program::program;
use crate::small_disk::{DiskFiller, on_small_disk};
use crate::sources::Sources;

fn in_folder(sources: &Sources) -> Vec<String> {
    let folder = sources.folder().display().to_string();
    vec!["--sources-dir".to_owned(), folder]
}

/// A running server with its own data folder.
pub struct Server {
    process: Option<Process>,
    data: PathBuf,
    /// The arguments for the sources.
    sources: Vec<String>,
    address: SocketAddr,
    /// The path below which it serves.
    path: String,
    lease_seconds: u32,
    base_repositories: Option<PathBuf>,
    /// The size of the disk of the data folder, if it has its own.
    disk: Option<String>,
    /// The reserve of the disk in MiB. Most tests do not depend on the free space of their machine.
    disk_reserve_mib: u32,
}

impl Server {
    /// Starts a server on a free port with leases that do not expire on a busy machine.
    pub fn start(folder: &Path, sources: &Sources) -> Self {
        Self::start_with_lease(folder, sources, 60)
    }

    /// Starts a server on a free port.
    pub fn start_with_lease(folder: &Path, sources: &Sources, lease_seconds: u32) -> Self {
        Self::start_with(folder, sources, lease_seconds, None)
    }

    /// Starts a server for more clients on this machine than one address may have by default.
    pub fn start_for_many_clients(folder: &Path, sources: &Sources, lease_seconds: u32) -> Self {
        let limits = ["--max-connections-per-address", "--max-streams-per-address"];
        let limits = limits.map(|flag| [flag.to_owned(), "8192".to_owned()]);
        let mut arguments = in_folder(sources);
        arguments.extend(limits.into_iter().flatten());
        Self::start_at(folder, arguments, lease_seconds, None)
    }

    /// Starts a server on a free port with more arguments.
    pub fn start_and(folder: &Path, sources: &Sources, more: &[&str]) -> Self {
        let mut arguments = in_folder(sources);
        arguments.extend(more.iter().map(|&argument| argument.to_owned()));
        Self::start_at(folder, arguments, 60, None)
    }

    /// Starts a server on a free port whose builds install from the base repositories listed in a
    /// file, and leases long enough for real builds.
    pub fn start_with_base(folder: &Path, sources: &Sources, base: &Path) -> Self {
        Self::start_with(folder, sources, 60, Some(base.to_owned()))
    }

    fn start_with(
        folder: &Path,
        sources: &Sources,
        lease_seconds: u32,
        base_repositories: Option<PathBuf>,
    ) -> Self {
        Self::start_at(folder, in_folder(sources), lease_seconds, base_repositories)
    }

    /// Starts a server whose sources are in GitLab, with leases long enough for real builds.
    pub fn start_with_gitlab(folder: &Path, forge: &Forge) -> Self {
        Self::start_at(folder, forge.server_arguments(), 60, None)
    }

    /// Starts a server whose sources are in GitLab, with more arguments.
    pub fn start_with_gitlab_and(folder: &Path, forge: &Forge, more: &[&str]) -> Self {
        let mut arguments = forge.server_arguments();
        arguments.extend(more.iter().map(|&argument| argument.to_owned()));
        Self::start_at(folder, arguments, 60, None)
    }

    /// Starts a server that misses webhooks and therefore polls often.
    pub fn start_with_frequent_polls(folder: &Path, forge: &Forge) -> Self {
        Self::start_at(folder, forge.polling_arguments(), 20, None)
    }

    fn start_at(
        folder: &Path,
        sources: Vec<String>,
        lease_seconds: u32,
        base_repositories: Option<PathBuf>,
    ) -> Self {
        let mut server = Self {
            process: None,
            data: folder.join("data"),
            sources,
            address: "127.0.0.1:0".parse().unwrap(),
            path: String::new(),
            lease_seconds,
            base_repositories,
            disk: None,
            disk_reserve_mib: 0,
        };
        server.start_again();
        server
    }

    /// Starts a server whose data folder is on a small separate disk, all of which it may use; needs root.
    pub fn start_on_small_disk(folder: &Path, sources: &Sources, size: &str) -> Self {
        Self::start_with_disk_reserve(folder, sources, size, 0)
    }

    /// Starts a server whose data folder is on a small separate disk, of which it keeps some MiB free; needs root.
    pub fn start_with_disk_reserve(
        folder: &Path,
        sources: &Sources,
        size: &str,
        reserve_mib: u32,
    ) -> Self {
        let mut server = Self {
            process: None,
            data: folder.join("data"),
            sources: in_folder(sources),
            address: "127.0.0.1:0".parse().unwrap(),
            path: String::new(),
            lease_seconds: 60,
            base_repositories: None,
            disk: Some(size.to_owned()),
            disk_reserve_mib: reserve_mib,
        };
        server.start_again();
        server
    }

    /// Fills the disk of its data folder.
    pub fn fill_disk(&self) -> DiskFiller {
        DiskFiller::fill(self.process.as_ref().unwrap().id(), &self.data)
    }

    /// Fills the disk of its data folder, except for this many MiB.
    pub fn fill_disk_except(&self, free_mib: u64) -> DiskFiller {
        DiskFiller::fill_except(self.process.as_ref().unwrap().id(), &self.data, free_mib)
    }

    /// Waits until it logs a line that contains `text`.
    pub fn wait_for_line(&mut self, text: &str) -> String {
        self.process.as_mut().unwrap().wait_for_line(text)
    }

    /// Waits until it has logged a line that contains `text`, also before it served.
    pub fn wait_until_logged(&mut self, text: &str) {
        self.process.as_mut().unwrap().wait_until_logged(text);
    }

    /// Restarts the server at its old address, with its old data.
    pub fn start_again(&mut self) {
        let mut process = Process::start("server", &mut self.command());
        let line = process.wait_for_line("serving");
        let rest = line.split("address=").nth(1).unwrap();
        let address: String = rest
            .chars()
            .take_while(|c| c.is_ascii_digit() || ".:".contains(*c))
            .collect();
        self.address = address.parse().unwrap();
        self.process = Some(process);
    }

    /// Returns the command that starts this server.
    fn command(&self) -> Command {
        let mut command = Command::new(program("buildbtw-server"));
        command
            .arg("run")
            .arg("--data-dir")
            .arg(&self.data)
            .args(&self.sources)
            .args(["--listen", &self.address.to_string()])
            .args(["--lease-seconds", &self.lease_seconds.to_string()])
            .args(["--disk-reserve-mib", &self.disk_reserve_mib.to_string()])
            .env("NO_COLOR", "1");
        if let Some(base) = &self.base_repositories {
            command.arg("--base-repositories").arg(base);
        }
        match &self.disk {
            Some(size) => on_small_disk(&command, &self.data, size),
            None => command,
        }
    }

    /// Restarts it, below a path.
    pub fn move_below(&mut self, path: &str) {
        self.stop();
        self.path = path.to_owned();
        let url = self.url();
        self.sources.extend(["--url".to_owned(), url]);
        self.start_again();
    }

    /// Sends SIGKILL.
    pub fn kill_hard(&mut self) {
        self.process.take().unwrap().kill_hard();
    }

    /// Sends SIGTERM and waits for the end.
    pub fn stop(&mut self) -> (Option<i32>, String) {
        let process = self.process.take().unwrap();
        process.terminate();
        process.wait()
    }

    pub fn url(&self) -> String {
        format!("http://{}{}", self.address, self.path)
    }

    /// Returns the address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the peak memory of the process in KiB (proc(5), `VmHWM`).
    pub fn memory_kib(&self) -> u64 {
        self.status_kib("VmHWM:")
    }

    /// Returns the current memory of the process in KiB (proc(5), `VmRSS`).
    pub fn resident_kib(&self) -> u64 {
        self.status_kib("VmRSS:")
    }

    fn status_kib(&self, name: &str) -> u64 {
        let pid = self.process.as_ref().unwrap().id();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap()
            .trim()
            .trim_end_matches(" kB")
            .parse()
            .unwrap()
    }

    /// Returns the processor time of the process (proc(5), `utime` and `stime`).
    pub fn processor_time(&self) -> Duration {
        const TICKS_PER_SECOND: f64 = 100.0;
        let pid = self.process.as_ref().unwrap().id();
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let (_, rest) = stat.rsplit_once(')').unwrap();
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let ticks = |place: usize| fields[place].parse::<f64>().unwrap();
        Duration::from_secs_f64((ticks(11) + ticks(12)) / TICKS_PER_SECOND)
    }

    pub fn data(&self) -> &Path {
        &self.data
    }

    pub fn admin_token(&self) -> String {
        let data = match (&self.disk, &self.process) {
            (Some(_), Some(process)) => PathBuf::from(format!(
                "/proc/{}/root{}",
                process.id(),
                self.data.display()
            )),
            _ => self.data.clone(),
        };
        let text = std::fs::read_to_string(data.join("admin-token")).unwrap();
        text.trim().to_owned()
    }

    /// Returns a client with the admin token.
    pub fn client(&self) -> Client {
        Client::new(&self.url(), Some(self.admin_token())).unwrap()
    }
}
