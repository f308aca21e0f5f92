//! `kill -9` of the server and of the worker, repeatedly at random moments, during rebuilds. At the
//! end everything has converged, no finished build ran twice, pacman accepts every package, and
//! nothing is left behind.
//!
//! `just kill-test KILLS [SEED] [sandbox]` repeats it more often, or with real builds.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use buildbtw_model::client::ClientError;
use buildbtw_model::{AttemptStatus, BuildStatus, IterationStatus, NamespaceName};
use buildbtw_tests::{
    Server, Sources, Worker, cli, has_tool, pacman_installs, pacman_upgrades, printed, program,
};

/// A small random number generator, so that a seed leads to the same kills everywhere.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// The parameters of the test.
struct Plan {
    kills: u32,
    seed: u64,
    sandbox: bool,
}

impl Plan {
    /// Reads the environment, which `just kill-test` sets; by default, the size suits every test run.
    fn read() -> Self {
        let number = |name: &str, default: u64| match std::env::var(name) {
            Ok(text) => text.parse().expect(name),
            Err(_) => default,
        };
        Self {
            kills: u32::try_from(number("KILLS", 100)).unwrap(),
            seed: number("SEED", 7),
            sandbox: std::env::var_os("SANDBOX").is_some(),
        }
    }

    fn packages(&self) -> u64 {
        if self.sandbox { 6 } else { 24 }
    }

    /// Returns the longest time between two kills, in milliseconds.
    fn longest_pause(&self) -> u64 {
        if self.sandbox { 9_000 } else { 400 }
    }
}

/// Commits packages in a random graph below `p0`; each needs one to three of those before it.
fn commit_graph(sources: &Sources, plan: &Plan, random: &mut Random) {
    for number in 0..plan.packages() {
        let mut needs: Vec<u64> = (0..=random.below(3))
            .filter(|_| number > 0)
            .map(|_| random.below(number))
            .collect();
        needs.sort_unstable();
        needs.dedup();
        commit_package(sources, number, 1, &needs);
    }
}

fn commit_package(sources: &Sources, number: u64, version: u32, needs: &[u64]) {
    let name = format!("p{number}");
    let mut srcinfo =
        format!("pkgbase = {name}\n\tpkgver = {version}\n\tpkgrel = 1\n\tarch = x86_64\n");
    let mut depends = String::new();
    for need in needs {
        let _ = writeln!(srcinfo, "\tdepends = p{need}");
        let _ = write!(depends, " p{need}");
    }
    let _ = write!(srcinfo, "\npkgname = {name}\n");
    let pkgbuild = format!(
        "pkgname={name}\npkgver={version}\npkgrel=1\narch=(x86_64)\ndepends=({depends})\n\
         package() {{ install -Dm644 /dev/null \"$pkgdir/usr/share/{name}\"; }}\n"
    );
    sources.commit_with(&name, &srcinfo, &pkgbuild);
}

struct Fixture {
    plan: Plan,
    random: Random,
    folder: tempfile::TempDir,
    sources: Sources,
    server: Server,
    worker: Option<Worker>,
    killed: u32,
}

impl Fixture {
    fn new(plan: Plan) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut random = Random(plan.seed);
        let sources = Sources::new(folder.path());
        commit_graph(&sources, &plan, &mut random);
        let server = Server::start(folder.path(), &sources);
        let mut fixture = Self {
            plan,
            random,
            folder,
            sources,
            server,
            worker: None,
            killed: 0,
        };
        fixture.start_worker();
        fixture
    }

    fn start_worker(&mut self) {
        let scratch = self.folder.path().join("scratch");
        self.worker = Some(if self.plan.sandbox {
            Worker::sandboxed(&self.server, &scratch)
        } else {
            Worker::simulated(&self.server, &scratch, 2, "0.02")
        });
    }

    fn kill_one(&mut self) {
        self.killed += 1;
        if self.random.below(2) == 0 {
            self.server.kill_hard();
            self.server.start_again();
        } else {
            self.worker.take().unwrap().process.kill_hard();
            self.start_worker();
        }
    }

    /// Requests a rebuild, and kills the server at a random moment of it: afterwards it exists
    /// completely or not at all.
    async fn request_rebuild(&mut self, name: &NamespaceName) {
        loop {
            let mut asking = Command::new(program("buildbtw"))
                .args(["new", "p0/main", "--name", name.as_str()])
                .args(["--server", &self.server.url()])
                .env("BUILDBTW_TOKEN", self.server.admin_token())
                .stdout(std::process::Stdio::null())
                .stderr(std::process::Stdio::null())
                .spawn()
                .unwrap();
            if self.random.below(2) == 0 {
                let moment = Duration::from_millis(self.random.below(120));
                tokio::time::sleep(moment).await;
                self.killed += 1;
                self.server.kill_hard();
                self.server.start_again();
            }
            asking.wait().unwrap();
            match self.server.client().namespace(name).await {
                Ok(namespace) => {
                    let counts = namespace.summary.iteration.counts;
                    assert_eq!(counts.total(), self.plan.packages(), "a partial plan");
                    return;
                }
                Err(ClientError::Refused(_)) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }

    async fn is_done(&self, name: &NamespaceName) -> bool {
        let iteration = self.server.client().iteration(name, None).await.unwrap();
        iteration.summary.status == IterationStatus::Done
    }

    /// Rebuilds until the number of kills is reached; returns the namespaces.
    async fn rebuild_and_kill(&mut self) -> Vec<NamespaceName> {
        let mut names = Vec::new();
        while self.killed < self.plan.kills {
            let version = u32::try_from(names.len()).unwrap() + 2;
            commit_package(&self.sources, 0, version, &[]);
            let name: NamespaceName = format!("rebuild-{version}").parse().unwrap();
            self.request_rebuild(&name).await;
            while self.killed < self.plan.kills && !self.is_done(&name).await {
                let pause = 20 + self.random.below(self.plan.longest_pause());
                tokio::time::sleep(Duration::from_millis(pause)).await;
                self.kill_one();
            }
            names.push(name);
        }
        names
    }

    /// Asserts that every build has packages, from one attempt that succeeded.
    async fn assert_nothing_built_twice(&self, name: &NamespaceName) {
        let client = self.server.client();
        let iteration = client.iteration(name, None).await.unwrap();
        assert_eq!(iteration.summary.status, IterationStatus::Done, "{name}");
        for build in &iteration.builds {
            // Earlier namespaces follow the new commits, and reuse what the newest has built.
            let own = match build.status {
                BuildStatus::Built => 1,
                BuildStatus::Reused => 0,
                other => panic!("{name}: {} is {other}", build.pkgbase),
            };
            let detail = client.build(build.id).await.unwrap();
            let attempts = detail.attempts.iter();
            let succeeded = attempts.filter(|attempt| attempt.status == AttemptStatus::Succeeded);
            assert_eq!(succeeded.count(), own, "{name}: {:#?}", detail.attempts);
        }
    }

    /// Stops both cleanly, and checks what is left.
    fn assert_nothing_left(&mut self) {
        let worker = self.worker.take().unwrap();
        worker.process.terminate();
        assert_eq!(worker.process.wait().0, Some(0));
        assert_eq!(self.server.stop().0, Some(0));
        let folder = self.folder.path();
        let checked = Command::new(program("buildbtw-server"))
            .args(["check", "--digests", "--data-dir"])
            .arg(self.server.data())
            .output()
            .unwrap();
        assert_eq!(checked.status.code(), Some(0), "{}", printed(&checked));
        assert_eq!(files_below(&self.server.data().join("uploads")), [""; 0]);
        assert_eq!(files_below(&self.server.data().join("trash")), [""; 0]);
        let attempts: Vec<String> = files_below(&folder.join("scratch"))
            .into_iter()
            // A worker that stops while it waits for a build keeps its claim, to repeat it later.
            .filter(|file| !file.ends_with("/lock") && !file.contains("/claims/"))
            .collect();
        assert_eq!(attempts, [""; 0], "the worker's scratch folder");
        let text = folder.to_str().unwrap();
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!mounts.contains(text), "{mounts}");
        assert_eq!(processes_with(text), [""; 0]);
    }
}

fn files_below(folder: &Path) -> Vec<String> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path.display().to_string());
            }
        }
    }
    files
}

fn processes_with(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap() {
        let path = entry.unwrap().path();
        let is_process = path.file_name().is_some_and(|name| {
            name.to_string_lossy()
                .bytes()
                .all(|byte| byte.is_ascii_digit())
        });
        if is_process && let Ok(line) = std::fs::read(path.join("cmdline")) {
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            if line.contains(text) {
                found.push(line);
            }
        }
    }
    found
}

#[test]
fn rebuilds_survive_kill_9_at_random_moments() {
    let plan = Plan::read();
    if plan.sandbox && !nix::unistd::geteuid().is_root() {
        panic!("the sandbox needs root");
    }
    println!("{} kills with seed {}", plan.kills, plan.seed);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut fixture = Fixture::new(plan);
    let names = runtime.block_on(fixture.rebuild_and_kill());
    for name in &names {
        let output = cli(&fixture.server, &["watch", name.as_str()]);
        assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
        runtime.block_on(fixture.assert_nothing_built_twice(name));
        if has_tool("pacman") {
            let packages: Vec<String> = (0..fixture.plan.packages())
                .map(|number| format!("p{number}"))
                .collect();
            let packages: Vec<&str> = packages.iter().map(String::as_str).collect();
            let folder = fixture.folder.path().join(name.as_str());
            let installed = pacman_installs(&folder, &fixture.server, name.as_str(), &packages);
            assert_eq!(installed.len(), packages.len(), "{installed:?}");
            pacman_upgrades(&folder, &fixture.server, name.as_str());
        }
    }
    println!("{} rebuilds, {} kills", names.len(), fixture.killed);
    fixture.assert_nothing_left();
}
