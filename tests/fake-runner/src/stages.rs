//! The stages of a job, in order.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::attempt::{Attempt, Failure};
use crate::build::{Build, End};
use crate::job::{Job, Step};
use crate::script::Scripts;
use crate::stream::StopSignal;
use crate::trace::Trace;
use crate::variables::Variables;

/// The maximum number of attempts, whatever a variable sets.
const MAX_ATTEMPTS: u32 = 10;
/// The step whose stage has another name.
const SCRIPT: &str = "script";
const AFTER_SCRIPT: &str = "after_script";

/// Prints the start of a log section.
pub(crate) fn section(trace: &Trace, marked: bool, name: &str, title: &str) {
    let now = jiff::Timestamp::now().as_second();
    let mark = match marked {
        true => format!("section_start:{now}:{name}\r\u{1b}[0K"),
        false => String::new(),
    };
    trace.line(&format!(
        "{mark}\u{1b}[0K\u{1b}[36;1m{title}\u{1b}[0;m\u{1b}[0;m"
    ));
}

/// Prints the end of a log section.
pub(crate) fn section_end(trace: &Trace, marked: bool, name: &str) {
    if marked {
        let now = jiff::Timestamp::now().as_second();
        trace.write(format!("section_end:{now}:{name}\r\u{1b}[0K").as_bytes());
    }
}

/// The stages of a prepared job.
pub(crate) struct Stages<'a> {
    pub(crate) build: &'a Build,
    pub(crate) attempt: &'a Attempt<'a>,
    pub(crate) variables: &'a Variables,
    pub(crate) scripts: Scripts<'a>,
    pub(crate) trace: &'a Trace,
    pub(crate) stops: &'a StopSignal,
}

impl Stages<'_> {
    async fn stage(
        &self,
        name: &str,
        title: &str,
        script: &str,
        stop: &CancellationToken,
    ) -> Result<(), Failure> {
        let marked = self.build.job.features.trace_sections;
        section(self.trace, marked, name, title);
        let done = self.attempt.stage(name, script, self.variables, stop).await;
        section_end(self.trace, marked, name);
        done
    }

    /// Runs all stages.
    pub(crate) async fn run(&self) -> End {
        let job_stop = &self.stops.job;
        let prepared = self
            .stage(
                "prepare_script",
                "Preparing environment",
                &self.scripts.prepare(),
                job_stop,
            )
            .await;
        if let Err(failure) = prepared {
            return End::Failed(failure);
        }
        let result = self.with_sources().await;
        let cleaned = self
            .stage(
                "cleanup_file_variables",
                "Cleaning up project directory and file based variables",
                &self.scripts.clean_up_files(),
                job_stop,
            )
            .await;
        match result.and(cleaned) {
            Ok(()) => End::Success,
            Err(failure) => End::Failed(failure),
        }
    }

    async fn with_sources(&self) -> Result<(), Failure> {
        self.get_sources().await?;
        let has_files = |job: &Job| {
            let mut dependencies = job.dependencies.iter();
            dependencies.any(|one| !one.artifacts_file.filename.is_empty())
        };
        if has_files(&self.build.job) {
            self.attempts("ARTIFACT_DOWNLOAD_ATTEMPTS", "download_artifacts", || {
                self.scripts.download()
            })
            .await?;
        }
        let result = self.user_steps().await;
        let uploaded = self.upload(result.is_ok()).await;
        result.and(uploaded)
    }

    fn count(&self, variable: &str) -> u32 {
        let value = self.variables.get(variable);
        let count = value.and_then(|value| value.parse().ok()).unwrap_or(1);
        count.clamp(1, MAX_ATTEMPTS)
    }

    async fn attempts(
        &self,
        variable: &str,
        name: &str,
        script: impl Fn() -> String,
    ) -> Result<(), Failure> {
        let mut last = Ok(());
        for _ in 0..self.count(variable) {
            last = self.stage(name, name, &script(), &self.stops.job).await;
            if last.is_ok() || self.stops.job.is_cancelled() {
                break;
            }
        }
        last
    }

    async fn get_sources(&self) -> Result<(), Failure> {
        let mut last = Ok(());
        for number in 0..self.count("GET_SOURCES_ATTEMPTS") {
            if number == 1 {
                let script = self.scripts.clear_worktree();
                let _ = self
                    .stage(
                        "clear_worktree",
                        "Deleting all tracked and untracked files",
                        &script,
                        &self.stops.job,
                    )
                    .await;
            }
            let script = self.scripts.get_sources();
            last = self
                .stage(
                    "get_sources",
                    "Getting source from Git repository",
                    &script,
                    &self.stops.job,
                )
                .await;
            if last.is_ok() || self.stops.job.is_cancelled() {
                break;
            }
        }
        last
    }

    /// Runs the user's scripts, and `after_script`.
    async fn user_steps(&self) -> Result<(), Failure> {
        self.stops.script_begins();
        let mut result = Ok(());
        let steps = self.build.job.steps.iter();
        for step in steps.filter(|step| step.name != AFTER_SCRIPT) {
            result = self.step(step).await;
            if result.is_err() {
                break;
            }
        }
        let after = self
            .build
            .job
            .steps
            .iter()
            .find(|step| step.name == AFTER_SCRIPT);
        if let Some(step) = after
            && !self.stops.job.is_cancelled()
        {
            self.after_script(step).await;
        }
        result
    }

    async fn step(&self, step: &Step) -> Result<(), Failure> {
        let script = self.scripts.step(&step.script);
        let limit = self.variables.get("RUNNER_SCRIPT_TIMEOUT");
        let limit = limit.and_then(|text| seconds(&text));
        if step.name != SCRIPT {
            let name = format!("step_{}", step.name);
            return self
                .stage(&name, "Executing step", &script, &self.stops.script)
                .await;
        }
        let name = &self.build.config.step_script_name;
        let title = "Executing \"step_script\" stage of the job script";
        if name == "build_script" {
            self.trace.line(
                "\u{1b}[0;33mWARNING: Starting with version 17.0 the 'build_script' stage will be \
                 replaced with 'step_script'\u{1b}[0;m",
            );
        }
        let stop = self.stops.script.child_token();
        self.limited(limit, &stop, self.stage(name, title, &script, &stop))
            .await
    }

    /// Runs `after_script`, whose failure is ignored.
    async fn after_script(&self, step: &Step) {
        let limit = self.variables.get("RUNNER_AFTER_SCRIPT_TIMEOUT");
        let limit = limit.and_then(|text| seconds(&text));
        let limit = limit.unwrap_or(self.build.config.after_script_timeout);
        let stop = self.stops.job.child_token();
        let script = self.scripts.step(&step.script);
        let run = self.stage(AFTER_SCRIPT, "Running after_script", &script, &stop);
        if self.limited(Some(limit), &stop, run).await.is_err() {
            self.trace
                .line("WARNING: after_script failed, but job will continue unaffected");
        }
    }

    /// Runs a stage with a time limit.
    async fn limited(
        &self,
        limit: Option<Duration>,
        stop: &CancellationToken,
        run: impl Future<Output = Result<(), Failure>>,
    ) -> Result<(), Failure> {
        tokio::pin!(run);
        let Some(limit) = limit else { return run.await };
        match tokio::time::timeout(limit, &mut run).await {
            Ok(done) => done,
            Err(_) => {
                stop.cancel();
                run.await
            }
        }
    }

    async fn upload(&self, success: bool) -> Result<(), Failure> {
        let artifacts = self.build.job.artifacts.iter();
        let wanted: Vec<_> = artifacts.filter(|one| one.is_for(success)).collect();
        if wanted.is_empty() || self.stops.job.is_cancelled() {
            return Ok(());
        }
        let name = match success {
            true => "upload_artifacts_on_success",
            false => "upload_artifacts_on_failure",
        };
        let script = self.scripts.upload(&wanted);
        self.stage(
            name,
            "Uploading artifacts for job",
            &script,
            &self.stops.job,
        )
        .await
    }
}

/// Parses `1h30m10s`.
fn seconds(text: &str) -> Option<Duration> {
    let span: jiff::Span = text.parse().ok()?;
    Duration::try_from(span).ok()
}
