//! A job from start to end: prepare, stages, cleanup.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::api::{Api, Directive, FinalState, Updated, VERSION};
use crate::attempt::{Attempt, Failure, Setup};
use crate::calls::{Journal, Outcome};
use crate::config::RunnerConfig;
use crate::job::Job;
use crate::mask::Masks;
use crate::script::Scripts;
use crate::stages::{Stages, section, section_end};
use crate::stream::{Reason, StopSignal, Stream};
use crate::trace::{LogSettings, Trace};
use crate::variables::{Folders, Variables, short_token};

/// The number of attempts to prepare a job.
const PREPARE_ATTEMPTS: u32 = 3;

/// A running job.
pub(crate) struct Build {
    pub(crate) config: Arc<RunnerConfig>,
    pub(crate) api: Api,
    pub(crate) job: Job,
    pub(crate) journal: Journal,
    pub(crate) helper: Option<std::path::PathBuf>,
    /// Its number among the concurrent jobs.
    pub(crate) slot: usize,
    /// Cancelled when the runner is told to stop.
    pub(crate) interrupt: CancellationToken,
}

/// How a job ended.
pub(crate) enum End {
    Success,
    Failed(Failure),
    /// Its configuration is invalid.
    Configuration(String),
}

impl Build {
    /// Runs the job and reports its end to GitLab.
    pub(crate) async fn run(self) {
        let (updated, instructions) = self.api.running(&self.job).await;
        if updated == Updated::Gone || instructions.directive == Directive::Abort {
            self.journal.done(self.job.id, Outcome::Dropped);
            return;
        }
        let variables = Variables::new(&self.config, &self.job, None, self.slot);
        let prefixes = &self.job.features.token_mask_prefixes;
        let trace = Trace::new(LogSettings {
            masks: Masks::new(variables.secrets().into_iter(), prefixes),
            limit: self.config.output_limit,
            timestamps: self.config.timestamps && !variables.is_disabled("FF_TIMESTAMPS"),
        });
        let stops = StopSignal::new();
        let mut stream = Stream::new(&self.api, &self.config, &self.job, &trace, &stops);
        if instructions.directive == Directive::Cancel {
            let end = final_state(&self.job, Err(("job_canceled", None)));
            stream.finish(end.clone()).await;
            self.journal.done(self.job.id, outcome(&end));
            return;
        }
        let finished = CancellationToken::new();
        let end = {
            let work = async {
                let end = self.work(&trace, &stops).await;
                finished.cancel();
                end
            };
            let (end, (), ()) =
                tokio::join!(work, stream.run(&finished), self.limits(&stops, &finished));
            end
        };
        let result = self.conclude(&end, &trace, stops.reason());
        let end = final_state(&self.job, result);
        stream.finish(end.clone()).await;
        self.journal.done(self.job.id, outcome(&end));
    }

    /// Stops the job at its time limit, or with the runner.
    async fn limits(&self, stops: &StopSignal, finished: &CancellationToken) {
        tokio::select! {
            () = finished.cancelled() => {}
            () = tokio::time::sleep(Duration::from_secs(self.job.timeout())) => {
                stops.stop(Reason::TimedOut);
            }
            () = self.interrupt.cancelled() => stops.stop(Reason::Interrupted),
        }
    }

    /// Returns result and failure reason of a job's end.
    fn conclude(
        &self,
        end: &End,
        trace: &Trace,
        reason: Option<Reason>,
    ) -> Result<(), (&'static str, Option<i64>)> {
        let failed = |text: &str| trace.error(&format!("ERROR: Job failed: {text}"));
        match reason {
            Some(Reason::TimedOut) => {
                failed(&format!(
                    "execution took longer than {} seconds",
                    self.job.timeout()
                ));
                return Err(("job_execution_timeout", None));
            }
            Some(Reason::Cancelled | Reason::Aborted) => {
                failed("canceled");
                return Err(("job_canceled", None));
            }
            Some(Reason::Interrupted) => {
                failed("aborted: interrupt");
                return Err(("runner_interrupted", None));
            }
            None => {}
        }
        match end {
            End::Success => {
                trace.line("\u{1b}[32;1mJob succeeded\u{1b}[0;m");
                Ok(())
            }
            End::Failed(Failure::Build { exit_code }) => {
                failed(&format!("exit status {exit_code}"));
                Err(("script_failure", Some(*exit_code)))
            }
            End::Failed(Failure::System(text)) => {
                trace.error(&format!("ERROR: Job failed (system failure): {text}"));
                Err(("runner_system_failure", None))
            }
            // Only a stage's own time limit stops it without stopping the job.
            End::Failed(Failure::Stopped) => {
                failed("execution took longer than it may");
                Err(("job_execution_timeout", None))
            }
            End::Configuration(text) => {
                failed(text);
                Err(("runner_configuration_error", None))
            }
        }
    }

    fn variables(&self, setup: &Setup) -> Variables {
        let folders = self.folders(setup);
        Variables::new(&self.config, &self.job, folders.as_ref(), self.slot)
    }

    fn folders(&self, setup: &Setup) -> Option<Folders> {
        let builds = setup
            .builds_dir
            .as_ref()
            .or(self.config.builds_dir.as_ref())?;
        Some(Folders::new(
            builds.clone(),
            setup.builds_dir_is_shared,
            short_token(&self.config.token),
            self.slot,
            &self.job,
        ))
    }

    async fn work(&self, trace: &Trace, stops: &StopSignal) -> End {
        trace.line(&format!(
            "Running with gitlab-runner {VERSION} (00000000)\n  on {} {}, system ID: {}",
            self.config.description,
            short_token(&self.config.token),
            self.config.system_id
        ));
        let sections = self.job.features.trace_sections;
        section(
            trace,
            sections,
            "prepare_executor",
            "Preparing the \"custom\" executor",
        );
        let attempt = match self.prepare(trace, stops).await {
            Ok(attempt) => attempt,
            Err(end) => return end,
        };
        section_end(trace, sections, "prepare_executor");
        let variables = self.variables(&attempt.setup);
        let Some(folders) = self.folders(&attempt.setup) else {
            attempt.clean_up(&variables).await;
            return End::Configuration("the builds_dir is not configured".to_owned());
        };
        let stages = Stages {
            build: self,
            attempt: &attempt,
            variables: &variables,
            scripts: Scripts {
                job: &self.job,
                variables: &variables,
                folders: &folders,
                url: self.config.url.trim_end_matches('/'),
            },
            trace,
            stops,
        };
        // The longest wait for a stage that does not stop.
        let gave_up = async {
            stops.job.cancelled().await;
            tokio::time::sleep(self.config.abort_wait).await;
        };
        let end = tokio::select! {
            end = stages.run() => end,
            () = gave_up => End::Failed(Failure::Stopped),
        };
        attempt.clean_up(&variables).await;
        end
    }

    async fn prepare<'a>(
        &'a self,
        trace: &'a Trace,
        stops: &StopSignal,
    ) -> Result<Attempt<'a>, End> {
        let helper: Option<&Path> = self.helper.as_deref();
        let mut last = Failure::Stopped;
        for number in 1..=PREPARE_ATTEMPTS {
            let attempt = Attempt::new(&self.config, &self.job, trace, &self.journal, helper);
            let mut attempt =
                attempt.map_err(|error| End::Failed(Failure::System(format!("{error:#}"))))?;
            let prepared = attempt
                .prepare(|setup| self.variables(setup), &stops.job)
                .await;
            let Err(failure) = prepared else {
                return Ok(attempt);
            };
            let variables = self.variables(&attempt.setup);
            attempt.clean_up(&variables).await;
            let is_retryable = matches!(failure, Failure::System(_));
            if let Failure::System(text) = &failure {
                trace.error(&format!("ERROR: Preparation failed: {text}"));
            }
            last = failure;
            if !is_retryable || stops.job.is_cancelled() || number == PREPARE_ATTEMPTS {
                break;
            }
            let pause = self.config.prepare_retry_pause;
            trace.line(&format!("Will be retried in {}s ...", pause.as_secs()));
            tokio::select! {
                () = stops.job.cancelled() => break,
                () = tokio::time::sleep(pause) => {}
            }
        }
        Err(End::Failed(last))
    }
}

/// Returns the final state for GitLab, with a failure reason that it supports.
fn final_state(job: &Job, result: Result<(), (&'static str, Option<i64>)>) -> FinalState {
    let (success, reason, exit_code) = match result {
        Ok(()) => (true, None, None),
        Err((reason, exit_code)) => (false, Some(reason), exit_code),
    };
    let known = |reason: &str| {
        [
            "script_failure",
            "runner_system_failure",
            "job_execution_timeout",
        ]
        .contains(&reason)
            || job
                .features
                .failure_reasons
                .iter()
                .any(|known| known == reason)
    };
    let reason = reason.map(|reason| match reason {
        reason if known(reason) => reason,
        "runner_configuration_error" => "script_failure",
        "runner_external_dependency_failure" => "runner_system_failure",
        _ => "unknown_failure",
    });
    FinalState {
        success,
        failure_reason: reason.map(str::to_owned),
        exit_code,
        checksum: String::new(),
        size: 0,
    }
}

fn outcome(end: &FinalState) -> Outcome {
    match &end.failure_reason {
        None => Outcome::Success,
        Some(reason) => Outcome::Failed {
            reason: reason.clone(),
            exit_code: end.exit_code,
        },
    }
}
