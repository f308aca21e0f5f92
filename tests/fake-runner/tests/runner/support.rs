//! Helpers of the tests.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use buildbtw_fake_gitlab::{FakeGitlab, JobId, JobView, Options, PipelineId, ProjectId};
use buildbtw_fake_runner::{FakeRunner, RunnerConfig, plain_log};
use serde_json::json;
use tempfile::TempDir;

/// Runs scripts in place, and reports how they ended.
pub(crate) const PLAIN: &str = r#"#!/usr/bin/env bash
case $1 in
  config) echo '{"driver": {"name": "plain", "version": "1"}, "job_env": {"FROM_CONFIG": "yes"}}' ;;
  run)
    bash "$2"
    code=$?
    if [ $code -ne 0 ]; then
      echo $code > "$BUILD_EXIT_CODE_FILE"
      exit "$BUILD_FAILURE_EXIT_CODE"
    fi
    ;;
esac
"#;

/// A GitLab stand-in with one project and one runner.
pub(crate) struct Fixture {
    pub(crate) gitlab: FakeGitlab,
    pub(crate) project: ProjectId,
    pub(crate) folder: TempDir,
    token: String,
}

impl Fixture {
    pub(crate) async fn new(configuration: &str) -> Self {
        let gitlab = FakeGitlab::start(Options::default()).await.unwrap();
        let project = gitlab.create_project("g/demo").unwrap();
        let files: [(&str, Option<&[u8]>); 1] =
            [(".gitlab-ci.yml", Some(configuration.as_bytes()))];
        gitlab.commit(project, "main", &files, "Begin").unwrap();
        Self {
            token: gitlab.create_runner(&[]),
            gitlab,
            project,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn config(&self, executor: &str) -> RunnerConfig {
        let path = self.path("executor");
        fs_err::write(&path, executor).unwrap();
        fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        RunnerConfig {
            helper: Some(Path::new(env!("CARGO_BIN_EXE_fake-runner")).to_owned()),
            env: vec![(
                "WORLD".to_owned(),
                self.folder.path().to_string_lossy().into_owned(),
            )],
            ..RunnerConfig::new(self.gitlab.url(), &self.token, path, self.path("builds")).fast()
        }
    }

    pub(crate) fn start(&self, executor: &str) -> FakeRunner {
        FakeRunner::start(self.config(executor)).unwrap()
    }

    /// Creates a pipeline and returns it with its first job.
    pub(crate) fn pipeline(&self) -> (PipelineId, JobId) {
        let gitlab = &self.gitlab;
        let pipeline = gitlab
            .create_pipeline(self.project, "main", &[], &json!({}))
            .unwrap();
        (pipeline, gitlab.jobs(pipeline)[0].id)
    }

    /// Returns the log of a job.
    pub(crate) fn log(&self, id: JobId) -> String {
        plain_log(&self.gitlab.job_trace(id))
    }

    pub(crate) fn job(&self, id: JobId) -> JobView {
        self.gitlab.job(id).unwrap()
    }
}
