//! The runner's own variables. Those that a job's author can set (`CUSTOM_ENV_…`) are only used for paths, which
//! are checked.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::job::Job;
use crate::explanations;
use crate::failure::Failure;

/// The variables that the runner set for this stage.
#[derive(Debug)]
pub(crate) struct Environment {
    job_response: Option<PathBuf>,
    exit_code_file: Option<PathBuf>,
    build_failure: u8,
    system_failure: u8,
}

impl Environment {
    /// Reads the variables.
    pub(crate) fn read() -> Self {
        let path = |name| {
            std::env::var_os(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        let code = |name, default| {
            std::env::var(name)
                .ok()
                .and_then(|value| value.parse().ok())
                .filter(|code| *code != 0)
                .unwrap_or(default)
        };
        Self {
            job_response: path("JOB_RESPONSE_FILE"),
            exit_code_file: path("BUILD_EXIT_CODE_FILE"),
            build_failure: code("BUILD_FAILURE_EXIT_CODE", 1),
            system_failure: code("SYSTEM_FAILURE_EXIT_CODE", 2),
        }
    }

    /// Removes the exit code of an earlier stage, which would be reported for this one.
    pub(crate) fn remove_exit_code(&self) {
        if let Some(path) = &self.exit_code_file {
            // Usually there is none.
            let _ = fs_err::remove_file(path);
        }
    }

    /// Reads the job.
    pub(crate) fn job(&self) -> Result<Job, Failure> {
        let path = self.job_response.as_deref();
        let path = path.ok_or_else(|| Failure::system(explanations::no_job_response()))?;
        Ok(Job::read(path)?)
    }

    /// Reads the job, if there is one: `cleanup` also runs when the runner failed before `config`.
    pub(crate) fn job_if_any(&self) -> Result<Option<Job>, Failure> {
        match &self.job_response {
            Some(path) if path.exists() => self.job().map(Some),
            _ => Ok(None),
        }
    }

    /// Returns whether the runner started this process for a job.
    pub(crate) fn has_job(&self) -> bool {
        self.job_response.is_some()
    }

    /// Returns `TMPDIR` from the job's variables, which its author controls.
    pub(crate) fn tmp_dir() -> Option<PathBuf> {
        let value = std::env::var_os("CUSTOM_ENV_TMPDIR")?;
        (!value.is_empty()).then(|| PathBuf::from(value))
    }

    /// Returns the project's folder from the job's variables, which its author controls.
    pub(crate) fn project_dir() -> Option<PathBuf> {
        std::env::var_os("CUSTOM_ENV_CI_PROJECT_DIR").map(PathBuf::from)
    }

    /// Returns the exit code that tells the runner how a stage ended.
    pub(crate) fn exit_code(&self, result: &Result<(), Failure>) -> ExitCode {
        let code = match result {
            Ok(()) => 0,
            Err(Failure::Build { exit_code, .. }) => {
                if let Some(path) = &self.exit_code_file {
                    write_exit_code(path, *exit_code);
                }
                self.build_failure
            }
            // The runner would retry after a system failure.
            Err(Failure::Final { .. }) => self.build_failure,
            Err(Failure::System(_)) => self.system_failure,
        };
        ExitCode::from(code)
    }
}

fn write_exit_code(path: &Path, code: i32) {
    // Without the file the runner shows exit code 1, which is nearly always right.
    let _ = fs_err::write(path, format!("{code}\n"));
}
