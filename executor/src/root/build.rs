//! Builds what a job was made for: what a worker does, with the front listening.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use buildbtw_agent::{Agent, AttemptFolder, Interrupt, Link, LogFile, Report, Settled};
use buildbtw_model::api::{ClaimedBuild, Outcome};
use buildbtw_model::client::Client;
use buildbtw_model::{AttemptId, FailureKind, PackageFileName};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::output::Output;
use super::state::JobFolder;
use super::stop::{STOPPED, Stop};
use crate::config::Config;
use crate::exchange::{self, Exchanged};
use crate::failure::Failure;
use crate::frames::{Delivery, Finished, Frame, Message};
use crate::id_token::IdToken;

/// How long reports may take once the build was stopped. After that the server's lease decides.
const LAST_REPORTS: Duration = Duration::from_secs(3);

/// A build.
pub(super) struct Task<'a> {
    pub(super) config: &'a Config,
    pub(super) folder: &'a JobFolder,
    pub(super) output: &'a Output,
    /// When the front is gone, or the runner.
    pub(super) stop: Stop,
}

/// Why the server takes no report, when it does not.
type Trouble = Arc<Mutex<Option<String>>>;

impl Task<'_> {
    /// Exchanges the token, builds and reports. Fails when there is nothing to report.
    pub(super) async fn run(&self, attempt: AttemptId, id_token: IdToken) -> Result<(), Failure> {
        let client = Client::new(&self.config.server, None).map_err(anyhow::Error::from)?;
        let worker = self.config.name()?;
        let exchanged = tokio::select! {
            exchanged = exchange::run(client, attempt, id_token, worker) => exchanged?,
            () = self.stop.now.cancelled() => return Err(Failure::build(STOPPED)),
        };
        let Exchanged { answer, client } = exchanged;
        let url = answer.url.clone();
        let _ = self.tell(Message::Building { url }).await;
        let repository = repository(&client, &answer.build);
        let trouble = Trouble::default();
        let agent = self.agent(client, &trouble);
        let _leaving = self.leave_after_stop(&agent, &trouble);
        let (report, folder) = self.attempt(&agent.agent, &answer.build).await?;
        let (files, bytes) = match &report.outcome {
            Outcome::Succeeded { packages } => sizes(&folder, packages)?,
            Outcome::Failed { .. } => (Vec::new(), 0),
        };
        let delivery = match report.settled {
            Settled::Yes => Delivery::Answered,
            Settled::Ended => Delivery::Unwanted,
            Settled::NotYet => Delivery::Failed,
        };
        let trouble = lock(&trouble).take();
        let finished = Finished {
            outcome: report.outcome,
            delivery,
            trouble,
            url: answer.url,
            repository,
            bytes,
        };
        // From here on only the front's copies are missing; when it is gone, so is their reader.
        let _ = self.tell(Message::Finished(finished)).await;
        if delivery == Delivery::Answered && bytes <= self.config.max_artifact_bytes() {
            for name in files {
                let path = folder.package(&name);
                if self.tell(Message::File { name }).await.is_err()
                    || self.output.send_file(path).await.is_err()
                {
                    break;
                }
            }
        }
        Ok(())
    }

    async fn tell(&self, message: Message) -> std::io::Result<()> {
        self.output.send(Frame::Message(message)).await
    }

    fn agent(&self, client: Client, trouble: &Trouble) -> Leaving {
        let leave = CancellationToken::new();
        let (denied, noted) = (leave.clone(), Arc::clone(trouble));
        let on_denied = move |error| {
            *lock(&noted) = Some(format!("the server takes the job's token no more: {error}"));
            denied.cancel();
        };
        let agent = Agent {
            link: Arc::new(Link::new(client, leave.clone(), Box::new(on_denied))),
            builder: self.config.builder(self.folder.sandbox()),
            packager: self.config.packager.clone(),
            limits: self.config.limits.limits(),
            interrupt: Interrupt {
                now: self.stop.now.clone(),
                kind: FailureKind::Cancelled,
                message: STOPPED,
                known: Arc::clone(&self.stop.known),
            },
        };
        Leaving {
            agent: Arc::new(agent),
            leave,
        }
    }

    fn leave_after_stop(&self, agent: &Leaving, trouble: &Trouble) -> AbortOnDropHandle<()> {
        let (stop, leave) = (self.stop.now.clone(), agent.leave.clone());
        let trouble = Arc::clone(trouble);
        AbortOnDropHandle::new(tokio::spawn(async move {
            stop.cancelled().await;
            tokio::time::sleep(LAST_REPORTS).await;
            lock(&trouble).get_or_insert_with(|| "the job was stopped".to_owned());
            leave.cancel();
        }))
    }

    async fn attempt(
        &self,
        agent: &Arc<Agent>,
        build: &ClaimedBuild,
    ) -> Result<(Report, AttemptFolder), Failure> {
        let folder = AttemptFolder::create(self.folder.attempt(), build.attempt)?;
        let architectures = self.config.architectures();
        if !architectures.contains(&build.architecture) {
            let message = format!(
                "{} builds for {} and not for {}; give the runner other tags",
                self.config.name()?,
                list(&architectures),
                build.architecture
            );
            return Ok((agent.fail(build.attempt, message).await, folder));
        }
        let log = Arc::new(LogFile::open(&folder.log())?);
        let copying = tokio::spawn(self.output.clone().copy_log(Arc::clone(&log)));
        let report = agent.run(build, &folder, log, false).await;
        copying.await.map_err(anyhow::Error::from)?;
        Ok((report, folder))
    }
}

/// An agent, and what makes it give up.
struct Leaving {
    agent: Arc<Agent>,
    leave: CancellationToken,
}

fn lock(trouble: &Mutex<Option<String>>) -> std::sync::MutexGuard<'_, Option<String>> {
    trouble.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where the packages of an iteration are served.
fn repository(client: &Client, build: &ClaimedBuild) -> String {
    format!(
        "{}/repo/{}/{}/{}",
        client.server(),
        build.namespace,
        build.iteration,
        build.architecture
    )
}

fn sizes(
    folder: &AttemptFolder,
    packages: &[buildbtw_model::api::ReportedPackage],
) -> std::io::Result<(Vec<PackageFileName>, u64)> {
    let mut bytes = 0;
    let mut names = Vec::new();
    for package in packages {
        bytes += fs_err::metadata(folder.package(&package.file_name))?.len();
        names.push(package.file_name.clone());
    }
    Ok((names, bytes))
}

fn list(architectures: &[buildbtw_model::Architecture]) -> String {
    let names: Vec<String> = architectures.iter().map(ToString::to_string).collect();
    names.join(", ")
}
