//! The environment of each test: source folders, a pacman repository, a builder.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use buildbtw_builder::{
    BuildOutcome, BuildRequest, Builder, BuiltPackage, LogSink, SandboxConfig, Source, check_host,
};
use buildbtw_model::FailureKind;
use buildbtw_model::api::{ExpectedPackage, Repository};
use buildbtw_package::TinyPackage;
use tokio_util::sync::CancellationToken;

/// Keeps the output, and cancels a token when a text appears.
#[derive(Default)]
pub(crate) struct Log {
    text: Mutex<Vec<u8>>,
    trigger: Option<(String, CancellationToken)>,
}

impl Log {
    pub(crate) fn cancelling(at: &str, token: &CancellationToken) -> Self {
        Self {
            text: Mutex::default(),
            trigger: Some((at.to_owned(), token.clone())),
        }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.text.lock().unwrap()).into_owned()
    }
}

impl LogSink for Log {
    fn write(&self, bytes: &[u8]) {
        self.text.lock().unwrap().extend_from_slice(bytes);
        if let Some((at, token)) = &self.trigger
            && self.text().contains(at)
        {
            token.cancel();
        }
    }
}

/// Keeps the output, and runs a function on each new chunk once a text has appeared.
pub(crate) struct CallbackLog<F> {
    pub(crate) log: Log,
    pub(crate) at: &'static str,
    pub(crate) action: F,
}

impl<F: Fn() + Send + Sync> LogSink for CallbackLog<F> {
    fn write(&self, bytes: &[u8]) {
        self.log.write(bytes);
        if self.log.text().contains(self.at) {
            (self.action)();
        }
    }
}

pub(crate) struct Fixture {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) config: SandboxConfig,
    pub(crate) builder: Builder,
}

impl Fixture {
    /// Returns `None`, and prints the reason, if sandboxes cannot be created.
    pub(crate) fn new() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mut config = SandboxConfig::new(folder.path().join("scratch"));
        config.helper = env!("CARGO_BIN_EXE_sandbox-helper").into();
        config.jobs = Some(2);
        // Where tests serve sources.
        config.allow_source_networks = vec!["127.0.0.0/8".parse().unwrap()];
        if let Err(missing) = check_host(&config) {
            eprintln!("SKIPPED: {missing}");
            return None;
        }
        for name in ["sources", "repository", "out"] {
            fs_err::create_dir(folder.path().join(name)).unwrap();
        }
        Some(Self {
            builder: Builder::sandboxed(config.clone()),
            config,
            folder,
        })
    }

    pub(crate) fn without_cgroups(&mut self) {
        self.configure(|config| config.cgroups = false);
    }

    /// Changes the configuration of sandboxes.
    pub(crate) fn configure(&mut self, change: impl FnOnce(&mut SandboxConfig)) {
        change(&mut self.config);
        self.builder = Builder::sandboxed(self.config.clone());
    }

    /// Starts the helper by a shell script, which runs it as `"$@"`.
    pub(crate) fn start_helper_by(&mut self, script: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        // One script can start another.
        let helper = self.config.helper.display();
        let path = self.path(&format!("helper-{}", script.len()));
        let text = format!("#!/bin/sh\nset -e\nset -- '{helper}' \"$@\"\n{script}\n");
        fs_err::write(&path, text).unwrap();
        fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        self.configure(|config| config.helper = path);
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a source folder.
    pub(crate) fn source(&self, name: &str, files: &[(&str, &str)]) -> Source {
        let folder = self.path("sources").join(name);
        fs_err::create_dir_all(&folder).unwrap();
        for (file, text) in files {
            fs_err::write(folder.join(file), text).unwrap();
        }
        Source::Directory(folder)
    }

    /// Returns a request for a package named like its pkgbase, from a PKGBUILD.
    pub(crate) fn request(&self, name: &str, pkgbuild: &str) -> BuildRequest {
        self.request_with(name, &[("PKGBUILD", pkgbuild)])
    }

    pub(crate) fn request_with(&self, name: &str, files: &[(&str, &str)]) -> BuildRequest {
        let mut request = BuildRequest::new(
            name.parse().unwrap(),
            "x86_64".parse().unwrap(),
            self.source(name, files),
        );
        request.source_date_epoch = Some(1_700_000_000);
        request.packager = "Tester <tester@localhost>".parse().unwrap();
        if self.path("repository/base.db").exists() {
            request.repositories = vec![self.repository("base")];
        }
        request
    }

    /// Returns a repository in a folder.
    pub(crate) fn repository(&self, name: &str) -> Repository {
        Repository {
            name: name.parse().unwrap(),
            servers: vec![format!("file://{}", self.path("repository").display())],
            sig_level: "Optional TrustAll".into(),
        }
    }

    pub(crate) async fn build(&self, request: &BuildRequest) -> (BuildOutcome, String) {
        let log = Log::default();
        let outcome = self
            .builder
            .build(request, &self.path("out"), &log, CancellationToken::new())
            .await;
        self.assert_no_leftovers(request);
        (outcome, log.text())
    }

    /// Runs a build that must succeed.
    pub(crate) async fn built(&self, request: &BuildRequest) -> (Vec<BuiltPackage>, String) {
        match self.build(request).await {
            (BuildOutcome::Succeeded { packages, .. }, log) => (packages, log),
            (outcome, log) => panic!("{outcome:?}\n{log}"),
        }
    }

    /// Runs a build that must fail.
    pub(crate) async fn fails(&self, request: &BuildRequest) -> (FailureKind, String, String) {
        match self.build(request).await {
            (BuildOutcome::Failed { kind, explanation }, log) => {
                (kind, explanation.to_string(), log)
            }
            (outcome, log) => panic!("{outcome:?}\n{log}"),
        }
    }

    /// Creates a git repository with one commit, and returns its hash.
    pub(crate) fn git(&self, name: &str, files: &[(&str, &str)]) -> String {
        fs_err::create_dir(self.path(name)).unwrap();
        for (file, text) in files {
            fs_err::write(self.path(name).join(file), text).unwrap();
        }
        self.sh(&format!(
            "cd {name} && git init -q && git add -A \
             && git -c user.name=t -c user.email=t@localhost commit -qm one && git rev-parse HEAD"
        ))
    }

    pub(crate) fn sh(&self, script: &str) -> String {
        let output = Command::new("bash")
            .args(["-ec", script])
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .current_dir(self.folder.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Adds packages to a repository.
    pub(crate) fn publish(&self, repository: &str, packages: &[BuiltPackage]) {
        let folder = self.path("repository");
        for package in packages {
            fs_err::copy(&package.path, folder.join(package.file_name.as_str())).unwrap();
        }
        self.add(repository, packages);
    }

    /// Lists packages that are in the folder of the repository.
    fn add(&self, repository: &str, packages: &[BuiltPackage]) {
        let output = Command::new("repo-add")
            .arg("--quiet")
            .arg(format!("{repository}.db.tar.gz"))
            .args(packages.iter().map(|package| package.file_name.as_str()))
            .current_dir(self.path("repository"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    /// Adds a handmade package to a repository: lines of its `.PKGINFO`, which contain name,
    /// version and architecture, and files.
    pub(crate) fn publish_handmade(
        &self,
        repository: &str,
        (name, version, architecture): (&str, &str, &str),
        lines: &str,
        files: &[(&str, &str)],
    ) {
        let mut package = TinyPackage::new(
            name.parse().unwrap(),
            name.parse().unwrap(),
            version.parse().unwrap(),
            architecture.parse().unwrap(),
        );
        package.info = lines.lines().map(str::to_owned).collect();
        let files = files.iter();
        let files = files.map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec()));
        package.files = files.collect();
        let package = BuiltPackage::write(&package, &self.path("repository")).unwrap();
        self.add(repository, &[package]);
    }

    /// Creates a repository with a package that no test needs.
    pub(crate) async fn publish_some(&self, repository: &str) {
        let (packages, _) = self
            .built(&self.request("some", &script_package("some", ":")))
            .await;
        self.publish(repository, &packages);
    }

    /// Asserts that nothing of an attempt is left: folder, cgroup, mount or process.
    pub(crate) fn assert_no_leftovers(&self, request: &BuildRequest) {
        let attempt = request.attempt.to_string();
        assert!(!self.path("scratch").join(&attempt).exists());
        let found = Command::new("find")
            .args(["/sys/fs/cgroup", "-name", &format!("buildbtw-{attempt}")])
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&found.stdout), "");
        let mounts = fs_err::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!mounts.contains("buildbtw-sandbox"), "{mounts}");
    }
}

pub(crate) fn chmod(path: &Path, mode: u32) {
    let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
    fs_err::set_permissions(path, mode).unwrap();
}

/// Returns whether a process with this text in its command line is alive.
pub(crate) fn is_running(marker: &str) -> bool {
    fs_err::read_dir("/proc").unwrap().flatten().any(|entry| {
        let cmdline = fs_err::read(entry.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&cmdline).contains(marker)
    })
}

/// Returns the id, on the host, of the user of the process with this name.
pub(crate) fn uid_of(marker: &str) -> u32 {
    use std::os::unix::fs::MetadataExt as _;
    let process = fs_err::read_dir("/proc").unwrap().flatten().find(|entry| {
        let cmdline = fs_err::read(entry.path().join("cmdline")).unwrap_or_default();
        cmdline.starts_with(format!("{marker}\0").as_bytes())
    });
    process.unwrap().path().metadata().unwrap().uid()
}

pub(crate) fn expected(name: &str, architecture: &str) -> ExpectedPackage {
    ExpectedPackage {
        name: name.parse().unwrap(),
        architecture: architecture.parse().unwrap(),
    }
}

/// Returns the text of one file in a package.
pub(crate) fn file_in(package: &Path, name: &str) -> String {
    let output = Command::new("bsdtar")
        .arg("-xOf")
        .arg(package)
        .arg(name)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Returns a PKGBUILD of one package without sources whose build() is `script`.
pub(crate) fn script_package(name: &str, script: &str) -> String {
    format!(
        "pkgname={name}\npkgver=1.0\npkgrel=1\narch=(x86_64)\n\
         build() {{\n{script}\n}}\n\
         package() {{ install -Dm644 /dev/null \"$pkgdir/usr/share/{name}/empty\"; }}\n"
    )
}

/// Returns a script that bash runs as install scriptlet; its output is written to a file.
pub(crate) fn scriptlet(script: &str) -> String {
    format!("post_install() {{\nbash >/usr/share/of-scriptlet 2>&1 <<'END'\n{script}\nEND\n}}\n")
}
