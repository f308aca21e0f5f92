//! The build stage: has the root side build, shows the log, keeps the packages as artifacts.

use std::io::{self, Stdout};
use std::path::PathBuf;

use buildbtw_model::api::{Outcome, ReportedPackage};
use buildbtw_model::{AttemptId, FailureKind};
use nix::sys::signal::SigSet;

use super::Host;
use super::artifacts::Artifacts;
use super::job_log::JobLog;
use super::jobs::JobFolder;
use super::links;
use super::privileged::Privileged;
use crate::contract::{Environment, Job};
use crate::failure::Failure;
use crate::frames::{Delivery, Finished, Frame, Message};
use crate::id_token::IdToken;
use crate::root::Request;
use crate::watch::Watch;

const ATTEMPT: &str = "BUILDBTW_ATTEMPT";
const ID_TOKEN: &str = "BUILDBTW_ID_TOKEN";
const TEMPLATE: &str = "The job has to come from buildbtw's pipeline template, ci/buildbtw.yml: see \
                        notes/gitlab.md of buildbtw.";

/// Builds what the job was made for. The signals that stop it are blocked.
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
    let mut side = Privileged::start(host, &request)?;
    side.stop_on(signals);
    side.stop_on_loss(watch);
    let mut show = Show {
        host,
        job,
        folder,
        log: JobLog::new(io::stdout(), job.has_sections),
        artifacts: None,
        finished: None,
    };
    let last = loop {
        match side.next()? {
            None => {
                // Of whoever reads it, the end of the root side is the more important news.
                let _ = show.log.close();
                return Err(side.silence(host));
            }
            Some(Frame::Message(last @ (Message::Done | Message::Failed { .. }))) => break last,
            // Nobody sees it, but the root side has to get to its end.
            Some(_) if watch.is_lost() => {}
            Some(frame) => match show.frame(frame) {
                Err(failure) if failure.is_broken_pipe() => watch.lose(),
                shown => shown?,
            },
        }
    };
    if !watch.is_lost() {
        show.log.close()?;
    }
    side.end(host, last)?;
    // The root side has tidied up by itself.
    fs_err::remove_file(folder.building())?;
    match show.finished {
        Some(finished) => verdict(finished),
        None => Err(Failure::system("the root side reported no outcome")),
    }
}

/// The attempt that the job was made for, and what proves it.
pub(crate) fn identity(job: &Job) -> Result<(AttemptId, IdToken), Failure> {
    let missing: Vec<&str> = [ATTEMPT, ID_TOKEN]
        .into_iter()
        .filter(|name| job.variable(name).is_none())
        .collect();
    if !missing.is_empty() {
        return Err(Failure::build(format!(
            "This runner builds packages for buildbtw only, and the job lacks {}.\n{TEMPLATE}",
            missing.join(" and ")
        )));
    }
    let text = |name| job.variable(name).unwrap_or_default();
    let wrong = |name, error: &dyn std::fmt::Display| {
        Failure::build(format!(
            "{name} of the job cannot be used: {error}\n{TEMPLATE}"
        ))
    };
    let attempt: AttemptId = text(ATTEMPT)
        .parse()
        .map_err(|error| wrong(ATTEMPT, &error))?;
    let id_token =
        IdToken::try_from(text(ID_TOKEN).to_owned()).map_err(|error| wrong(ID_TOKEN, &error))?;
    Ok((attempt, id_token))
}

/// Shows what the root side says.
struct Show<'a> {
    host: &'a Host,
    job: &'a Job,
    folder: &'a JobFolder,
    log: JobLog<Stdout>,
    artifacts: Option<Artifacts>,
    finished: Option<Finished>,
}

impl Show<'_> {
    fn frame(&mut self, frame: Frame) -> Result<(), Failure> {
        match frame {
            Frame::Log(bytes) => self.log.write(&bytes)?,
            Frame::Message(Message::Building { url }) => {
                self.log
                    .say_bold(&format!("This build in buildbtw: {url}"))?;
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
            Frame::Message(Message::Done | Message::Failed { .. }) => {}
        }
        Ok(())
    }

    fn finish(&mut self, finished: Finished) -> Result<(), Failure> {
        self.log.close()?;
        if let (Outcome::Succeeded { packages }, Delivery::Answered) =
            (&finished.outcome, finished.delivery)
        {
            self.summarize(&finished, packages)?;
            // Without artifacts the build is still done: the packages are at the server.
            match self.make_artifacts(&finished, packages) {
                Ok(artifacts) => self.artifacts = Some(artifacts),
                Err(error) => self.log.say(&format!("No artifacts are kept: {error:#}"))?,
            }
        }
        self.log.say(&format!("Build: {}", finished.url))?;
        self.finished = Some(finished);
        Ok(())
    }

    fn summarize(
        &mut self,
        finished: &Finished,
        packages: &[ReportedPackage],
    ) -> Result<(), Failure> {
        self.log.say_bold("Packages:")?;
        for package in packages {
            self.log.say(&format!("  {}", package.file_name))?;
        }
        self.log
            .say(&format!("Repository: {}", finished.repository))?;
        if finished.bytes > self.host.config.max_artifact_bytes() {
            self.log.say(&format!(
                "They have {} bytes, too many for artifacts of the job: those only link to the repository.",
                finished.bytes
            ))?;
        }
        Ok(())
    }

    fn make_artifacts(
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

    /// The project's folder; wherever it is said to be, it is only used below the job's own.
    fn project_dir(&self, builds: &std::path::Path) -> PathBuf {
        Environment::project_dir()
            .or_else(|| self.job.variable("CI_PROJECT_DIR").map(PathBuf::from))
            .or_else(|| self.job.project().map(|project| builds.join(project)))
            .unwrap_or_else(|| builds.to_owned())
    }
}

/// What the outcome means for the job.
fn verdict(finished: Finished) -> Result<(), Failure> {
    match (finished.outcome, finished.delivery) {
        (_, Delivery::Unwanted) => Err(Failure::build(
            "buildbtw has ended this attempt meanwhile: it was cancelled, or taken for lost",
        )),
        (outcome, Delivery::Failed) => {
            let trouble = finished.trouble.unwrap_or_default();
            let what = match outcome {
                Outcome::Succeeded { .. } => "the package was built".to_owned(),
                Outcome::Failed { message, .. } => message,
            };
            Err(Failure::system(format!(
                "the result could not be reported: {trouble} ({what})"
            )))
        }
        (Outcome::Succeeded { .. }, Delivery::Answered) => Ok(()),
        (Outcome::Failed { kind, message }, Delivery::Answered) => match kind {
            FailureKind::Package | FailureKind::Timeout => {
                Err(Failure::build(format!("The build failed: {message}")))
            }
            FailureKind::Cancelled => Err(Failure::build(format!(
                "The build was not finished: {message}"
            ))),
            FailureKind::Infrastructure => Err(Failure::system(format!(
                "The build failed for no fault of the package: {message}"
            ))),
        },
    }
}
