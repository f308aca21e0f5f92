//! The build stage: starts the root side, shows its log, and writes the packages as artifacts.

use std::io::{self, Stdout};
use std::path::PathBuf;

use buildbtw_model::api::{Outcome, ReportedPackage};
use buildbtw_model::{AttemptId, FailureKind, TraceId};
use nix::sys::signal::SigSet;

use super::Host;
use super::artifacts::Artifacts;
use super::job_log::JobLog;
use super::jobs::JobFolder;
use super::links;
use super::privileged::RootSide;
use crate::contract::{Environment, Job};
use crate::explanations;
use crate::failure::Failure;
use crate::frames::{Delivery, Finished, Frame, Message};
use crate::id_token::IdToken;
use crate::root::Request;
use crate::watch::Watch;

const ATTEMPT: &str = "BUILDBTW_ATTEMPT";
const ID_TOKEN: &str = "BUILDBTW_ID_TOKEN";

/// Builds the package of the job. `signals` must be blocked; they stop the build.
pub(crate) fn run(
    host: &Host,
    job: &Job,
    folder: &JobFolder,
    signals: SigSet,
    watch: &Watch,
) -> Result<(), Failure> {
    let (attempt, id_token) = identity(job)?;
    let request = Request::Build {
        job: job.id,
        attempt,
        id_token,
        runners: folder.runners(),
    };
    fs_err::write(folder.building(), "")?;
    let mut side = RootSide::start(host, &request)?;
    side.stop_on(signals);
    side.stop_on_runner_exit(watch);
    let mut display = Display {
        host,
        job,
        folder,
        attempt,
        log: JobLog::new(io::stdout(), job.has_sections),
        artifacts: None,
        finished: None,
    };
    let last = loop {
        match side.next_frame()? {
            None => {
                // The end of the root side is the more important error.
                let _ = display.log.close();
                return Err(side.missing_result(host));
            }
            Some(Frame::Message(last @ (Message::Done | Message::Failed { .. }))) => break last,
            // The log has no reader, but the root side must be able to end.
            Some(_) if watch.has_runner_exited() => {}
            Some(frame) => match display.frame(frame) {
                Err(failure) if failure.is_broken_pipe() => watch.mark_lost(),
                displayed => displayed?,
            },
        }
    };
    if !watch.has_runner_exited() {
        display.log.close()?;
    }
    side.finish(host, last)?;
    // The root side has cleaned up by itself.
    fs_err::remove_file(folder.building())?;
    match display.finished {
        Some(finished) => stage_result(finished),
        None => Err(Failure::system(explanations::no_outcome())),
    }
}

/// Returns the attempt that the job was created for, and the job's ID token.
pub(crate) fn identity(job: &Job) -> Result<(AttemptId, IdToken), Failure> {
    let missing: Vec<&str> = [ATTEMPT, ID_TOKEN]
        .into_iter()
        .filter(|name| job.variable(name).is_none())
        .collect();
    if !missing.is_empty() {
        return Err(Failure::build(explanations::missing_variables(&missing)));
    }
    let text = |name| job.variable(name).unwrap_or_default();
    let invalid = |name, error: &dyn std::fmt::Display| {
        Failure::build(explanations::invalid_variable(name, error))
    };
    let attempt: AttemptId = text(ATTEMPT)
        .parse()
        .map_err(|error| invalid(ATTEMPT, &error))?;
    let id_token =
        IdToken::try_from(text(ID_TOKEN).to_owned()).map_err(|error| invalid(ID_TOKEN, &error))?;
    Ok((attempt, id_token))
}

/// Shows the root side's frames in the job's log.
struct Display<'a> {
    host: &'a Host,
    job: &'a Job,
    folder: &'a JobFolder,
    attempt: AttemptId,
    log: JobLog<Stdout>,
    artifacts: Option<Artifacts>,
    finished: Option<Finished>,
}

impl Display<'_> {
    fn frame(&mut self, frame: Frame) -> Result<(), Failure> {
        match frame {
            Frame::Log(bytes) => self.log.write(&bytes)?,
            Frame::Message(Message::Building { url }) => {
                self.log
                    .print_bold(&format!("This build in buildbtw: {url}"))?;
                let trace = TraceId::from(self.attempt);
                self.log.print_bold(&format!("Its trace id: {trace}"))?;
            }
            Frame::Message(Message::Finished(finished)) => self.finish(finished)?,
            Frame::Message(Message::File { name }) => {
                if let Some(artifacts) = &mut self.artifacts {
                    artifacts.begin(&name)?;
                }
            }
            Frame::Data(bytes) => {
                if let Some(artifacts) = &mut self.artifacts {
                    artifacts.write(&bytes)?;
                }
            }
            Frame::Message(Message::Done | Message::Failed { .. } | Message::Checks(_)) => {}
        }
        Ok(())
    }

    fn finish(&mut self, finished: Finished) -> Result<(), Failure> {
        self.log.close()?;
        if let (Outcome::Succeeded { packages }, Delivery::Accepted) =
            (&finished.outcome, finished.delivery)
        {
            self.summarize(&finished, packages)?;
            // The build has succeeded without artifacts, too: the server has the packages.
            match self.create_artifacts(&finished, packages) {
                Ok(artifacts) => self.artifacts = Some(artifacts),
                Err(error) => self.log.print(&format!("No artifacts: {error:#}"))?,
            }
        }
        self.log.print(&format!("Build: {}", finished.url))?;
        self.finished = Some(finished);
        Ok(())
    }

    fn summarize(
        &mut self,
        finished: &Finished,
        packages: &[ReportedPackage],
    ) -> Result<(), Failure> {
        self.log.print_bold("Packages:")?;
        for package in packages {
            self.log.print(&format!("  {}", package.file_name))?;
        }
        self.log
            .print(&format!("Repository: {}", finished.repository))?;
        if finished.bytes > self.host.config.max_artifact_bytes() {
            self.log.print(&format!(
                "The packages have {} bytes, too many for artifacts, which only link to the repository.",
                finished.bytes
            ))?;
        }
        Ok(())
    }

    fn create_artifacts(
        &self,
        finished: &Finished,
        packages: &[ReportedPackage],
    ) -> anyhow::Result<Artifacts> {
        let builds = self.folder.builds();
        let project = self.project_dir(&builds);
        let mut artifacts = Artifacts::create(&builds, &project, self.host.script_user)?;
        artifacts.add("packages.txt", &links::text(finished, packages))?;
        artifacts.add("packages.html", &links::html(finished, packages))?;
        Ok(artifacts)
    }

    /// Returns the project's folder, from variables that the job controls: `Artifacts` rejects it outside of the job's.
    fn project_dir(&self, builds: &std::path::Path) -> PathBuf {
        Environment::project_dir()
            .or_else(|| self.job.variable("CI_PROJECT_DIR").map(PathBuf::from))
            .or_else(|| self.job.project().map(|project| builds.join(project)))
            .unwrap_or_else(|| builds.to_owned())
    }
}

/// Returns the result of the stage for an outcome.
fn stage_result(finished: Finished) -> Result<(), Failure> {
    match (finished.outcome, finished.delivery) {
        (_, Delivery::AttemptEnded) => Err(Failure::build(explanations::attempt_ended())),
        (outcome, Delivery::Failed) => {
            let error = finished.delivery_error.unwrap_or_default();
            let what = match outcome {
                Outcome::Succeeded { .. } => "the package was built".into(),
                Outcome::Failed { explanation, .. } => explanation,
            };
            Err(Failure::system(what.map(|what| {
                format!("cannot report the result to the server: {error} ({what})")
            })))
        }
        (Outcome::Succeeded { .. }, Delivery::Accepted) => Ok(()),
        (Outcome::Failed { kind, explanation }, Delivery::Accepted) => {
            match kind {
                FailureKind::Package | FailureKind::Timeout | FailureKind::Memory => Err(
                    Failure::build(explanation.map(|why| format!("The build failed: {why}"))),
                ),
                // The message says why, or that the job cannot know it.
                FailureKind::Cancelled => Err(Failure::build(
                    explanation.map(|why| format!("The build did not finish: {why}")),
                )),
                FailureKind::Infrastructure => Err(Failure::system(explanation.map(|why| {
                    format!("The build failed, but not because of the package: {why}")
                }))),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use buildbtw_model::Explanation;

    use super::*;

    fn finished(outcome: Outcome, delivery: Delivery) -> Finished {
        Finished {
            outcome,
            delivery,
            delivery_error: Some("connection refused".to_owned()),
            url: "https://build.example.org/builds/1".to_owned(),
            repository: "https://build.example.org/repo/set/1/x86_64".to_owned(),
            bytes: 0,
        }
    }

    #[test]
    fn failures_match_snapshot() {
        let succeeded = || Outcome::Succeeded {
            packages: Vec::new(),
        };
        let failed = |kind| {
            let why = Explanation::with_hint("the reason", "change it");
            Outcome::failed(kind, why)
        };
        let failures = [
            (succeeded(), Delivery::AttemptEnded),
            (succeeded(), Delivery::Failed),
            (failed(FailureKind::Package), Delivery::Failed),
            (failed(FailureKind::Package), Delivery::Accepted),
            (failed(FailureKind::Cancelled), Delivery::Accepted),
            (failed(FailureKind::Infrastructure), Delivery::Accepted),
        ];
        let texts = failures.map(|(outcome, delivery)| {
            let failure = stage_result(finished(outcome, delivery)).unwrap_err();
            failure.explanation().to_string()
        });
        insta::assert_snapshot!(texts.join("\n\n"));
    }
}
