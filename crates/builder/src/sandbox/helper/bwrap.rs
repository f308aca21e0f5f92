//! Commands inside a root. Everything that touches a package runs through here.

use std::io;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};

use super::root::Root;
use crate::host::SEARCH_PATH;
use crate::sandbox::job::{Context as _, Failure};
use crate::sys::{self, Identity};

/// The id of the user that builds, inside the sandbox.
pub(super) const BUILD_USER: u32 = 1000;

/// What pacman and its scriptlets need as root of a sandbox, and no more.
const CAPABILITIES: &[&str] = &[
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
];

/// Files of this machine that name resolution and TLS need.
const NETWORK_FILES: &[&str] = &[
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/ssl",
    "/etc/ca-certificates",
    "/etc/pki",
];

/// What the command sees as `/`.
#[derive(Clone, Copy)]
pub(super) enum View<'a> {
    /// The root, writable.
    Writable(&'a Root),
    /// The root, read-only except for what is bound.
    ReadOnly(&'a Root),
    /// Nothing but this machine's `/usr`, for tools of ours that need no root.
    HostTools(&'a Root),
}

impl<'a> View<'a> {
    fn root(self) -> &'a Root {
        match self {
            Self::Writable(root) | Self::ReadOnly(root) | Self::HostTools(root) => root,
        }
    }
}

/// A command to run inside a root.
pub(super) struct Sandboxed<'a> {
    view: View<'a>,
    identity: Identity,
    network: bool,
    binds: Vec<(PathBuf, String, bool)>,
    environment: Vec<(&'static str, String)>,
    folder: &'static str,
}

impl<'a> Sandboxed<'a> {
    pub(super) fn new(view: View<'a>, identity: Identity) -> Self {
        Self {
            view,
            identity,
            network: false,
            binds: Vec::new(),
            environment: Vec::new(),
            folder: "/",
        }
    }

    /// Shares this machine's network.
    pub(super) fn network(mut self, network: bool) -> Self {
        self.network = network;
        self
    }

    pub(super) fn bind(mut self, source: PathBuf, target: &str, writable: bool) -> Self {
        self.binds.push((source, target.to_owned(), writable));
        self
    }

    pub(super) fn env(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.environment.push((name, value.into()));
        self
    }

    pub(super) fn folder(mut self, folder: &'static str) -> Self {
        self.folder = folder;
        self
    }

    /// Runs a command; its output goes to the log.
    pub(super) fn run(&self, command: &[&str]) -> Result<ExitStatus, Failure> {
        self.spawn(command, Stdio::inherit())?
            .wait()
            .context("waiting for the sandbox")
    }

    /// Runs a command and returns what it writes to standard output.
    pub(super) fn output(&self, command: &[&str]) -> Result<Output, Failure> {
        self.spawn(command, Stdio::piped())?
            .wait_with_output()
            .context("waiting for the sandbox")
    }

    fn spawn(&self, command: &[&str], stdout: Stdio) -> Result<Child, Failure> {
        let mut bwrap = Command::new("bwrap");
        bwrap
            .env_clear()
            .env("PATH", SEARCH_PATH)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(stdout)
            .args(["--die-with-parent", "--new-session", "--clearenv"]);
        self.add_namespaces(&mut bwrap);
        self.add_files(&mut bwrap);
        for (name, value) in [("PATH", SEARCH_PATH), ("LANG", "C.UTF-8"), ("TERM", "dumb")] {
            bwrap.args(["--setenv", name, value]);
        }
        for (name, value) in &self.environment {
            bwrap.args(["--setenv", name, value]);
        }
        bwrap.args(["--chdir", self.folder, "--"]).args(command);
        sys::enter_namespace(&mut bwrap, &self.view.root().namespace, self.identity)?;
        bwrap.spawn().context("starting bwrap")
    }

    fn add_namespaces(&self, bwrap: &mut Command) {
        bwrap.args([
            "--unshare-pid",
            "--unshare-ipc",
            "--unshare-uts",
            "--unshare-cgroup-try",
        ]);
        bwrap.args(["--hostname", "buildbtw"]);
        if !self.network {
            bwrap.arg("--unshare-net");
        }
        match self.identity {
            Identity::Root => {
                bwrap.args(["--cap-drop", "ALL"]);
                for capability in CAPABILITIES {
                    bwrap.args(["--cap-add", capability]);
                }
            }
            // Without privileges it needs a namespace of its own, the last one it can make.
            Identity::User(_) => {
                bwrap.args(["--unshare-user", "--disable-userns"]);
            }
        }
    }

    fn add_files(&self, bwrap: &mut Command) {
        match self.view {
            View::Writable(root) => {
                bwrap.arg("--bind").arg(&root.path).arg("/");
            }
            View::ReadOnly(root) => {
                bwrap.arg("--ro-bind").arg(&root.path).arg("/");
            }
            View::HostTools(_) => {
                bwrap.args(["--ro-bind", "/usr", "/usr"]);
                for name in ["bin", "sbin", "lib", "lib64"] {
                    bwrap.args(["--symlink", &format!("usr/{name}"), &format!("/{name}")]);
                }
                bwrap.args(["--ro-bind-try", "/etc/alternatives", "/etc/alternatives"]);
                bwrap.args(["--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache"]);
                bwrap.args(["--tmpfs", "/tmp"]);
            }
        }
        // Even root of a sandbox must not reach the machine's settings.
        bwrap.args(["--proc", "/proc", "--ro-bind", "/proc/sys", "/proc/sys"]);
        bwrap.args(["--dev", "/dev", "--tmpfs", "/run"]);
        if self.network {
            for file in NETWORK_FILES {
                bwrap.args(["--ro-bind-try", file, file]);
            }
        }
        for (source, target, writable) in &self.binds {
            let option = if *writable { "--bind" } else { "--ro-bind" };
            bwrap.arg(option).arg(source).arg(target);
        }
    }
}

/// What a command's end means as an exit code, as shells have it.
pub(super) fn exit_code(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt as _;
    status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal))
        .unwrap_or(255)
}

/// The text of a command's output, or an error that says which command.
pub(super) fn text(output: Output) -> Result<String, Failure> {
    String::from_utf8(output.stdout)
        .map_err(io::Error::other)
        .context("reading a tool's output")
}
