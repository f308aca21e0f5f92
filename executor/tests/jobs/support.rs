//! A runner on its own host, and jobs for it.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use buildbtw_fake_server::{FakeServer, build};
use buildbtw_model::AttemptId;
use buildbtw_model::api::ClaimedBuild;
use serde_json::{Value, json};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_buildbtw-executor");
pub(crate) const ID_TOKEN: &str = "header.claims.signature";

/// A host with a runner, and the server that it builds for.
pub(crate) struct Host {
    pub(crate) server: FakeServer,
    folder: tempfile::TempDir,
}

/// How simulated builds behave, as TOML.
pub(crate) const QUICK: &str = "builder.simulated = { seconds = 0.0 }";
/// These builds do not end by themselves.
pub(crate) const ENDLESS: &str = "builder.simulated = { seconds = 86400.0 }";

impl Host {
    pub(crate) async fn start(settings: &str) -> Self {
        let server = FakeServer::start().await;
        // Scripts of jobs run as another user, who needs access to the parent folders.
        let folder = tempfile::tempdir_in(public_tmp()).unwrap();
        chmod(folder.path(), 0o711);
        let host = Self { server, folder };
        host.configure(settings);
        host
    }

    pub(crate) fn configure(&self, settings: &str) {
        let text = format!(
            "server = '{}'\nstate_dir = '{}'\nname = 'tester'\narchitectures = ['x86_64']\n\
             gitlab_runner = '/usr/bin/true'\nsudo = ''\n{settings}\n",
            self.server.url(),
            self.state().display()
        );
        fs_err::write(self.config(), text).unwrap();
        chmod(&self.config(), 0o644);
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.path("executor.toml")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.path("state")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Returns the files left in the folders of jobs, on either side.
    pub(crate) fn leftovers(&self) -> Vec<PathBuf> {
        ["jobs", "root/jobs"]
            .iter()
            .filter_map(|name| self.state().join(name).read_dir().ok())
            .flatten()
            .map(|entry| entry.unwrap().path())
            .collect()
    }

    /// Checks that no job has left files.
    #[track_caller]
    pub(crate) fn expect_nothing_left(&self) {
        let left = self.leftovers();
        assert!(left.is_empty(), "{left:?}");
    }

    /// Creates a job for a build of this package, which the server dispatches.
    pub(crate) fn job(&self, id: u64, pkgbase: &str) -> Job<'_> {
        self.job_for(id, &build(pkgbase))
    }

    /// Creates the same job, sets up its environment and creates its project folder.
    pub(crate) fn prepared_job(&self, id: u64) -> Job<'_> {
        let job = self.job(id, "a");
        job.prepare();
        job
    }

    pub(crate) fn job_for(&self, id: u64, build: &ClaimedBuild) -> Job<'_> {
        let key = (build.attempt, ID_TOKEN.to_owned());
        self.server
            .change(|inner| inner.exchanges.insert(key, build.clone()));
        let mut job = self.empty_job(id);
        job.attempt = Some(build.attempt);
        let attempt = build.attempt.to_string();
        job.set("BUILDBTW_ATTEMPT", &attempt);
        job.set("BUILDBTW_ID_TOKEN", ID_TOKEN);
        job
    }

    /// Creates a job without an attempt of buildbtw.
    pub(crate) fn empty_job(&self, id: u64) -> Job<'_> {
        let tmp = self.path(&format!("custom-executor{id}"));
        fs_err::create_dir_all(&tmp).unwrap();
        let response = json!({
            "id": id,
            "token": "job-token",
            "job_info": { "id": id, "project_full_path": "g/demo" },
            "git_info": { "repo_url": "http://gitlab.example/g/demo.git", "protected": false },
            "runner_info": { "timeout": 600 },
            "variables": [],
            "features": { "trace_sections": true },
        });
        Job {
            host: self,
            id,
            tmp,
            response: response.to_string(),
            variables: BTreeMap::new(),
            attempt: None,
        }
    }

    /// Changes the settings.
    pub(crate) fn replace_setting(&self, old: &str, new: &str) {
        let text = fs_err::read_to_string(self.config()).unwrap();
        assert!(text.contains(old), "{text}");
        fs_err::write(self.config(), text.replace(old, new)).unwrap();
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(PROGRAM);
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .arg("--config")
            .arg(self.config())
            .stdin(Stdio::null())
            // In the same way as the runner.
            .process_group(0);
        command
    }
}

/// Returns a temporary folder that every user can enter, unlike possibly the one of `TMPDIR`.
pub(crate) fn public_tmp() -> PathBuf {
    let is_public = |folder: &PathBuf| {
        let open = |folder: &Path| {
            folder
                .metadata()
                .is_ok_and(|m| m.permissions().mode() & 1 == 1)
        };
        folder.ancestors().all(open)
    };
    [std::env::temp_dir(), "/tmp".into(), "/var/tmp".into()]
        .into_iter()
        .find(is_public)
        .unwrap()
}

/// A job on that host.
pub(crate) struct Job<'a> {
    pub(crate) host: &'a Host,
    pub(crate) id: u64,
    pub(crate) tmp: PathBuf,
    pub(crate) response: String,
    variables: BTreeMap<String, String>,
    pub(crate) attempt: Option<AttemptId>,
}

impl Job<'_> {
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.variables.insert(name.into(), value.into());
        let variables: Vec<Value> = self
            .variables
            .iter()
            .map(|(key, value)| json!({ "key": key, "value": value, "public": false }))
            .collect();
        let mut response: Value = serde_json::from_str(&self.response).unwrap();
        response["variables"] = variables.into();
        self.response = response.to_string();
    }

    /// Changes the job description of GitLab.
    pub(crate) fn describe(&mut self, key: &str, value: Value) {
        let mut response: Value = serde_json::from_str(&self.response).unwrap();
        response[key] = value;
        self.response = response.to_string();
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let file = self.response_file();
        fs_err::write(&file, &self.response).unwrap();
        let mut command = self.host.command();
        command
            .args(arguments)
            .current_dir(&self.tmp)
            .env("TMPDIR", &self.tmp)
            .env("BUILD_FAILURE_EXIT_CODE", "41")
            .env("SYSTEM_FAILURE_EXIT_CODE", "42")
            .env("BUILD_EXIT_CODE_FILE", self.exit_code_file())
            .env("JOB_RESPONSE_FILE", file)
            .env("CUSTOM_ENV_CI_PROJECT_DIR", self.project());
        for (name, value) in &self.variables {
            command.env(format!("CUSTOM_ENV_{name}"), value);
        }
        command
    }

    fn response_file(&self) -> PathBuf {
        self.tmp.join("response.json")
    }

    pub(crate) fn exit_code_file(&self) -> PathBuf {
        self.tmp.join("build_exit_code")
    }

    /// Runs a stage until it ends.
    pub(crate) fn stage(&self, arguments: &[&str]) -> StageResult {
        let output = self.command(arguments).output().unwrap();
        StageResult::from(output)
    }

    /// Starts a stage.
    pub(crate) fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Runs one of the runner's scripts.
    pub(crate) fn script(&self, stage: &str, text: &str) -> StageResult {
        let script = self.write_script(text);
        self.stage(&["run", script.to_str().unwrap(), stage])
    }

    pub(crate) fn write_script(&self, text: &str) -> PathBuf {
        let script = self.tmp.join("script");
        fs_err::write(&script, format!("#!/usr/bin/env bash\n{text}\n")).unwrap();
        chmod(&script, 0o700);
        script
    }

    pub(crate) fn prepare(&self) {
        self.stage(&["prepare"]).expect(0);
        self.script("prepare_script", "echo hello").expect(0);
        let project = self.project();
        self.script("get_sources", &format!("mkdir -p '{}'", project.display()))
            .expect(0);
    }

    /// Starts a stage as the child of a process that ends with it.
    pub(crate) fn start_with_runner(&self, arguments: &[&str]) -> Child {
        self.start_with_runner_through("exec \"$@\"", arguments)
    }

    /// Starts the same with a script between the two.
    pub(crate) fn start_with_runner_through(&self, between: &str, arguments: &[&str]) -> Child {
        // With job control, bash starts each command in a process group of its own; and as with a
        // runner, only these commands have the variables of the job.
        let script = r#"set -m; JOB_RESPONSE_FILE=$RESPONSE sh -c "$BETWEEN" sh "$@" & wait $!"#;
        let mut runner = self.wrapped(script, arguments);
        runner
            .env_remove("JOB_RESPONSE_FILE")
            .env("RESPONSE", self.response_file())
            .env("BETWEEN", between);
        runner.spawn().unwrap()
    }

    /// Prepares the job with a runner that is dead afterwards.
    pub(crate) fn prepare_with_exited_runner(&self) {
        let child = self.start_with_runner(&["prepare"]);
        StageResult::from(child.wait_with_output().unwrap()).expect(0);
    }

    /// Runs a stage from a script that the runner starts.
    pub(crate) fn stage_through(&self, between: &str, arguments: &[&str]) -> StageResult {
        StageResult::from(self.wrapped(between, arguments).output().unwrap())
    }

    fn wrapped(&self, script: &str, arguments: &[&str]) -> Command {
        let inner = self.command(arguments);
        let mut command = Command::new("/usr/bin/bash");
        command
            .args(["-c", script, "bash", PROGRAM])
            .args(inner.get_args())
            .env_clear()
            .envs(
                inner
                    .get_envs()
                    .filter_map(|(key, value)| Some((key, value?))),
            )
            .current_dir(&self.tmp)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        command
    }

    /// Makes the last call of the runner.
    pub(crate) fn clean_up(&self) {
        self.stage(&["cleanup"]).expect(0);
    }

    pub(crate) fn builds(&self) -> PathBuf {
        self.host.state().join(format!("jobs/{}/builds", self.id))
    }

    pub(crate) fn project(&self) -> PathBuf {
        self.builds().join("g/demo")
    }

    /// Returns the attempt as recorded by the server.
    pub(crate) fn attempt(&self) -> buildbtw_fake_server::Attempt {
        self.host.server.attempt(self.attempt.unwrap())
    }
}

/// The result of a stage.
#[derive(Debug)]
pub(crate) struct StageResult {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl From<Output> for StageResult {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl StageResult {
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}\n{}", self.out, self.err);
        self
    }

    #[track_caller]
    pub(crate) fn prints(self, part: &str) -> Self {
        let all = format!("{}\n{}", self.out, self.err);
        assert!(all.contains(part), "no {part:?} in\n{all}");
        self
    }
}

/// Waits for a condition, at most as long as a busy machine needs.
pub(crate) async fn until(what: &str, holds: impl Fn() -> bool) {
    let wait = async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(60), wait).await;
    assert!(waited.is_ok(), "{what} did not happen");
}

pub(crate) fn chmod(path: &Path, mode: u32) {
    fs_err::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}
