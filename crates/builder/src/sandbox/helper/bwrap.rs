//! Builds the command lines of bubblewrap, in which everything runs that touches a package.

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use super::login_shell;
use super::network::Network;
use super::root::Root;
use super::skeleton::HOST_NAME;
use crate::failure::{Context as _, Failure};
use crate::programs::SEARCH_PATH;
use crate::seccomp;
use crate::sys::{self, Identity, StepContext};

/// The capabilities that pacman and its scriptlets need as root of a sandbox.
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

/// Switches from root of the sandbox to the build user. A dependency can replace this file of the root, but
/// gains nothing by it: its scriptlets ran with more capabilities than these.
const SETPRIV: &str = "/usr/bin/setpriv";
const CAPABILITIES_OF_SETPRIV: &[&str] = &["CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID"];

/// The file from which a command reads its resolvers.
const RESOLV_CONF: &str = "/etc/resolv.conf";
/// Other files of the host that name resolution and TLS need.
const NETWORK_FILES: &[&str] = &[
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/ssl",
    "/etc/ca-certificates",
    "/etc/pki",
];

/// The file system that the command sees as `/`.
#[derive(Clone, Copy)]
pub(super) enum View<'a> {
    /// The root, writable.
    Writable(&'a Root),
    /// The root, read-only except for the binds.
    ReadOnly(&'a Root),
    /// Only the host's `/usr`, for our own tools that need no root.
    HostTools(&'a Root),
}

impl<'a> View<'a> {
    fn root(self) -> &'a Root {
        match self {
            Self::Writable(root) | Self::ReadOnly(root) | Self::HostTools(root) => root,
        }
    }
}

/// The network access of a command.
#[derive(Clone, Copy)]
enum NetworkAccess<'a> {
    Nothing,
    /// The network of the host.
    HostNetwork,
    /// The network for sources.
    Sources(&'a Network),
}

/// A command to run inside a root.
pub(super) struct Sandboxed<'a> {
    view: View<'a>,
    identity: Identity,
    reach: NetworkAccess<'a>,
    binds: Vec<(PathBuf, String, bool)>,
    environment: Vec<(&'static str, String)>,
    folder: &'static str,
    login: bool,
}

impl<'a> Sandboxed<'a> {
    pub(super) fn new(view: View<'a>, identity: Identity) -> Self {
        Self {
            view,
            identity,
            reach: NetworkAccess::Nothing,
            binds: Vec::new(),
            environment: Vec::new(),
            folder: "/",
            login: false,
        }
    }

    /// Starts the command from a login shell of the build user.
    pub(super) fn login(mut self, login: bool) -> Self {
        self.login = login;
        self
    }

    /// Shares the host's network with the command.
    pub(super) fn network(mut self, network: bool) -> Self {
        self.reach = match network {
            true => NetworkAccess::HostNetwork,
            false => NetworkAccess::Nothing,
        };
        self
    }

    /// Gives the command access to the network for sources.
    pub(super) fn through(mut self, network: &'a Network) -> Self {
        self.reach = NetworkAccess::Sources(network);
        self
    }

    /// Returns whether the command has any network access.
    pub(super) fn has_network(&self) -> bool {
        match self.reach {
            NetworkAccess::Nothing => false,
            NetworkAccess::HostNetwork | NetworkAccess::Sources(_) => true,
        }
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

    /// Starts a command without input.
    pub(super) fn spawn(
        &self,
        command: &[&str],
        stdout: Stdio,
        stderr: Option<Stdio>,
    ) -> Result<Child, Failure> {
        self.start(command, Stdio::null(), stdout, stderr)
    }

    /// Starts a command.
    pub(super) fn start(
        &self,
        command: &[&str],
        stdin: Stdio,
        stdout: Stdio,
        stderr: Option<Stdio>,
    ) -> Result<Child, Failure> {
        let root = self.view.root();
        let filter = seccomp::descriptor(root.memory).context("creating the system call filter")?;
        let mut bwrap = Command::new("bwrap");
        bwrap
            .env_clear()
            .env("PATH", SEARCH_PATH)
            .current_dir("/")
            .stdin(stdin)
            .stdout(stdout)
            .stderr(stderr.unwrap_or_else(Stdio::inherit))
            .args(["--die-with-parent", "--new-session", "--clearenv"]);
        self.add_namespaces(&mut bwrap);
        self.add_files(&mut bwrap);
        for (name, value) in self.basic_environment() {
            bwrap.args(["--setenv", name, value]);
        }
        for (name, value) in &self.environment {
            bwrap.args(["--setenv", name, value]);
        }
        bwrap.arg("--seccomp").arg(filter.as_raw_fd().to_string());
        let folder = if self.login {
            login_shell::HOME
        } else {
            self.folder
        };
        bwrap.args(["--chdir", folder, "--"]);
        if let Identity::User(id) = self.identity {
            bwrap.args(become_user(id));
        }
        if self.login {
            bwrap.args(login_shell::shell(self.folder, &self.environment, command));
        } else {
            bwrap.args(command);
        }
        let step = StepContext {
            namespace: root.namespace.as_fd().try_clone_to_owned()?,
            network: self.network_namespace()?,
            mounts: root.step_mounts.mounts(),
            inherited: vec![filter],
        };
        sys::enter(&mut bwrap, step);
        bwrap.spawn().context("starting bwrap")
    }

    /// Returns the environment variables that every command has.
    fn basic_environment(&self) -> &'static [(&'static str, &'static str)] {
        const OF_TOOLS: &[(&str, &str)] =
            &[("PATH", SEARCH_PATH), ("LANG", "C.UTF-8"), ("TERM", "dumb")];
        if self.login {
            login_shell::ENVIRONMENT
        } else {
            OF_TOOLS
        }
    }

    fn network_namespace(&self) -> io::Result<Option<OwnedFd>> {
        match self.reach {
            NetworkAccess::Nothing | NetworkAccess::HostNetwork => Ok(None),
            NetworkAccess::Sources(network) => {
                network.namespace().as_fd().try_clone_to_owned().map(Some)
            }
        }
    }

    fn add_namespaces(&self, bwrap: &mut Command) {
        bwrap.args([
            "--unshare-pid",
            "--unshare-ipc",
            "--unshare-uts",
            "--unshare-cgroup-try",
        ]);
        bwrap.args(["--hostname", HOST_NAME]);
        match self.reach {
            NetworkAccess::Nothing => {
                bwrap.arg("--unshare-net");
            }
            NetworkAccess::HostNetwork | NetworkAccess::Sources(_) => {}
        }
        let capabilities = match self.identity {
            Identity::Root => CAPABILITIES,
            Identity::User(_) => CAPABILITIES_OF_SETPRIV,
        };
        bwrap.args(["--cap-drop", "ALL"]);
        for capability in capabilities {
            bwrap.args(["--cap-add", capability]);
        }
    }

    fn add_network_files(&self, bwrap: &mut Command) {
        match self.reach {
            NetworkAccess::Nothing => return,
            NetworkAccess::HostNetwork => {
                bwrap.args(["--ro-bind-try", RESOLV_CONF, RESOLV_CONF]);
            }
            NetworkAccess::Sources(network) => {
                let resolv_conf = network.resolv_conf();
                bwrap.arg("--ro-bind").arg(resolv_conf).arg(RESOLV_CONF);
            }
        }
        // A read-only root has its own files, and no place to mount these.
        if matches!(self.view, View::ReadOnly(_)) {
            return;
        }
        for file in NETWORK_FILES {
            bwrap.args(["--ro-bind-try", file, file]);
        }
    }

    fn add_files(&self, bwrap: &mut Command) {
        let step_mounts = &self.view.root().step_mounts;
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
                make_folders(bwrap, "/etc/file");
                bwrap.args(["--ro-bind-try", "/etc/alternatives", "/etc/alternatives"]);
                bwrap.args(["--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache"]);
                step_mounts.add_tmp(bwrap);
            }
        }
        step_mounts.add_machine(bwrap);
        step_mounts.add(bwrap);
        self.add_network_files(bwrap);
        for (source, target, writable) in &self.binds {
            if target.starts_with("/run/") {
                make_folders(bwrap, target);
            }
            let option = if *writable { "--bind" } else { "--ro-bind" };
            bwrap.arg(option).arg(source).arg(target);
        }
    }
}

/// Creates the parent folders of a path. bubblewrap would create them with mode 0700.
fn make_folders(bwrap: &mut Command, path: &str) {
    for (end, _) in path.match_indices('/').skip(1) {
        let folder = path.get(..end).unwrap_or_default();
        bwrap.args(["--perms", "0755", "--dir", folder]);
    }
}

/// Returns the beginning of a command line that runs the rest as this user, without capabilities.
fn become_user(id: u32) -> [String; 9] {
    [
        SETPRIV,
        "--reuid",
        &id.to_string(),
        "--regid",
        &id.to_string(),
        "--clear-groups",
        "--no-new-privs",
        "--bounding-set=-all",
        "--inh-caps=-all",
    ]
    .map(str::to_owned)
}
