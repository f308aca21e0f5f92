//! A server with the people and builders of a story.

use std::path::Path;
use std::process::{Command, Stdio};

use buildbtw_model::api::{ClaimRequest, ClaimedBuild, Outcome, WorkerMachine};
use buildbtw_model::client::Client;
use buildbtw_model::{ClaimId, FailureKind};
use buildbtw_tests::worker_pool::{Packages, claim, persist, report};
use buildbtw_tests::{Package, Process, Server, Sources, printed, program};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// A server with source packages.
pub(super) struct Site {
    pub(super) server: Server,
    pub(super) sources: Sources,
    client: Client,
    packages: Packages,
    runtime: Runtime,
    folder: TempDir,
}

impl Site {
    /// Starts a server with packages that need no others.
    pub(super) fn new(packages: &[&'static str]) -> Self {
        Self::with(packages, &[])
    }

    /// Starts such a server with more arguments.
    pub(super) fn with(packages: &[&'static str], flags: &[&str]) -> Self {
        Self::start(flags, |sources| {
            for pkgbase in packages {
                commit(sources, pkgbase, "1", &[]);
            }
        })
    }

    /// Starts a server with sources that a function writes.
    pub(super) fn start(flags: &[&str], write: impl FnOnce(&Sources)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let sources = Sources::new(folder.path());
        write(&sources);
        let server = Server::start_and(folder.path(), &sources, flags);
        Self {
            client: server.client(),
            server,
            sources,
            packages: Packages::new(folder.path()),
            runtime: Runtime::new().unwrap(),
            folder,
        }
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Returns the administrator.
    pub(super) fn admin(&self) -> Person<'_> {
        Person {
            site: self,
            token: self.server.admin_token(),
            server: self.server.url(),
        }
    }

    /// Returns a person with a token of their own, which the administrator creates.
    pub(super) fn person(&self, name: &str) -> Person<'_> {
        let create = ["token", "create", "--scope", "client", "--name", name];
        let token = self
            .admin()
            .says(&[&create[..], &["--jq", ".token"]].concat());
        Person {
            site: self,
            token: token.trim().to_owned(),
            server: self.server.url(),
        }
    }

    /// Starts a program that simulates builds, with more arguments.
    pub(super) fn worker(&self, name: &str, more: &[&str]) -> Process {
        Process::start(
            "worker",
            &mut self.worker_command(&self.server.url(), name, more),
        )
    }

    /// Returns the command that starts a worker of the server at an address.
    pub(super) fn worker_command(&self, server: &str, name: &str, more: &[&str]) -> Command {
        let mut command = Command::new(program("buildbtw-worker"));
        command
            .arg("run")
            .args(["--server", server, "--token", &self.server.admin_token()])
            .args(["--name", name, "--architectures", "x86_64"])
            .args(["--builder", "simulated", "--simulated-seconds", "0"])
            .args(more)
            .arg("--scratch-dir")
            .arg(self.folder().join(name))
            .env("NO_COLOR", "1");
        command
    }

    /// Claims the next build for a worker that does what the story says.
    pub(super) fn claims_any(&self) -> ClaimedBuild {
        let build = self.runtime.block_on(claim(&self.client, "builder", 50));
        build.expect("there is no build to claim")
    }

    /// Claims the next build, which must be of this pkgbase.
    pub(super) fn claims(&self, pkgbase: &str) -> ClaimedBuild {
        let build = self.claims_any();
        assert_eq!(build.pkgbase.as_str(), pkgbase);
        build
    }

    /// Asks for a build without waiting.
    pub(super) fn claims_nothing(&self) {
        let build = self.runtime.block_on(claim(&self.client, "builder", 0));
        assert!(build.is_none(), "{build:?}");
    }

    /// Asks for a build, without waiting, as a machine whose builds may use some memory.
    pub(super) fn claims_with(&self, worker: &str, build_memory_mib: u32) -> Option<ClaimedBuild> {
        let request = ClaimRequest {
            claim: ClaimId::new(),
            worker: worker.parse().unwrap(),
            architectures: vec!["x86_64".parse().unwrap()],
            jobs: 1,
            protocols: Vec::new(),
            machine: Some(WorkerMachine {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                tags: Vec::new(),
                cores: 8,
                memory_mib: 65_536,
                build_memory_mib,
            }),
            load: None,
            wait_s: 0,
        };
        let claim = persist(|| self.client.claim(&request));
        self.runtime.block_on(claim)
    }

    /// Ends a build that needed more memory than it may use.
    pub(super) fn lacks_memory(&self, build: &ClaimedBuild) {
        let outcome = Outcome::failed(FailureKind::Memory, "the memory limit was exceeded");
        let report = persist(|| self.client.report_outcome(build.attempt, &outcome));
        self.runtime.block_on(report);
    }

    /// Ends a build with its packages.
    pub(super) fn succeeds(&self, build: &ClaimedBuild) {
        self.runtime.block_on(async {
            let uploaded = self.packages.upload(&self.client, build).await;
            report(&self.client, build, uploaded).await;
        });
    }

    /// Ends a build with an error of the package, which is the last line of its log.
    pub(super) fn fails(&self, build: &ClaimedBuild, error: &str) {
        self.runtime.block_on(async {
            let log = format!("compiling\n{error}\n").into_bytes();
            persist(|| self.client.heartbeat(build.attempt)).await;
            persist(|| self.client.append_log(build.attempt, 0, log.clone())).await;
            let outcome = Outcome::failed(FailureKind::Package, error);
            persist(|| self.client.report_outcome(build.attempt, &outcome)).await;
        });
    }
}

/// Commits a version of a package with more lines.
pub(super) fn commit(
    sources: &Sources,
    pkgbase: &'static str,
    pkgver: &'static str,
    base: &'static [&'static str],
) {
    sources.commit(&Package {
        pkgbase,
        pkgver,
        base,
        packages: &[],
    });
}

/// A person at a terminal of the usual size.
pub(super) struct Person<'a> {
    site: &'a Site,
    token: String,
    server: String,
}

impl Person<'_> {
    /// Returns the same person with another address of the server.
    pub(super) fn at(mut self, server: &str) -> Self {
        self.server = server.to_owned();
        self
    }

    /// Returns a command of the client, with nothing in its environment but what it needs.
    pub(super) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(program("buildbtw"));
        command
            .args(args)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.site.folder())
            .env("TZ", "UTC")
            .env("COLUMNS", "80")
            .env("LINES", "24")
            .env("BUILDBTW_SERVER", &self.server)
            .env("BUILDBTW_TOKEN", &self.token)
            .stdin(Stdio::null());
        command
    }

    /// Runs a command; returns what it printed, and its exit code.
    pub(super) fn run(&self, args: &[&str]) -> Said {
        let output = self.command(args).output().unwrap();
        let code = output.status.code();
        Said {
            code: code.unwrap_or_else(|| panic!("{args:?}: {}", printed(&output))),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Runs a command that succeeds; returns its standard output.
    pub(super) fn says(&self, args: &[&str]) -> String {
        let said = self.run(args);
        assert_eq!(said.code, 0, "{args:?}: {}{}", said.stdout, said.stderr);
        said.stdout
    }

    /// Runs a command that fails; returns its error, which ends with a hint.
    pub(super) fn is_refused(&self, args: &[&str]) -> String {
        let said = self.run(args);
        assert_eq!(said.code, 3, "{args:?}: {}{}", said.stdout, said.stderr);
        assert!(
            said.stderr.starts_with("error: ") && said.stderr.contains("hint: "),
            "{args:?}: {}",
            said.stderr
        );
        said.stderr
    }
}

/// What a command printed.
pub(super) struct Said {
    pub(super) code: i32,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Said {
    /// Returns the number of lines.
    pub(super) fn lines(&self) -> usize {
        self.stdout.lines().count() + self.stderr.lines().count()
    }
}

/// Checks that a text contains all of some parts.
#[track_caller]
pub(super) fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in:\n{text}");
    }
}
