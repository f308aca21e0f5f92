//! Builds the package of a job like a worker does, and sends log and packages to the front.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use buildbtw_agent::{Agent, AttemptFolder, Connection, Interrupt, LogFile, Report, Settled};
use buildbtw_model::api::{ClaimedBuild, Outcome};
use buildbtw_model::client::Client;
use buildbtw_model::{AttemptId, FailureKind, PackageFileName};
use buildbtw_telemetry::spawn_named;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::output::Output;
use super::state::JobFolder;
use super::stop::{STOPPED, Stop};
use crate::config::Config;
use crate::exchange::{self, Exchanged};
use crate::explanations;
use crate::failure::Failure;
use crate::frames::{Delivery, Finished, Frame, Message};
use crate::id_token::IdToken;
use crate::records;

/// How long reports may take after the build was stopped. Later ones are left to the server's lease.
const LAST_REPORTS_TIMEOUT: Duration = Duration::from_secs(3);

/// The build of a job.
pub(super) struct Task<'a> {
    pub(super) config: &'a Config,
    pub(super) folder: &'a JobFolder,
    pub(super) output: &'a Output,
    /// Fires when the front or the runner is gone.
    pub(super) stop: Stop,
}

/// Why reports do not reach the server, if they do not.
type DeliveryError = Arc<Mutex<Option<String>>>;

impl Task<'_> {
    /// Exchanges the token, builds, and reports the outcome. Fails when there is no outcome to report.
    pub(super) async fn run(&self, attempt: AttemptId, id_token: IdToken) -> Result<(), Failure> {
        let client = self.config.client().map_err(anyhow::Error::from)?;
        let worker = self.config.name()?;
        let exchanged = tokio::select! {
            exchanged = exchange::run(client, attempt, id_token, worker) => exchanged?,
            () = self.stop.now.cancelled() => return Err(Failure::build(STOPPED)),
        };
        let Exchanged { response, client } = exchanged;
        let url = response.url.clone();
        let _ = self.send(Message::Building { url }).await;
        let repository = repository(&client, &response.build);
        let delivery_error = DeliveryError::default();
        let agent = self.agent(client, &delivery_error);
        let _timer = self.disconnect_after_stop(&agent, &delivery_error);
        let began = Instant::now();
        let (report, folder) = self.attempt(&agent.agent, &response.build).await?;
        records::append(&self.config.state_dir, &report.outcome, began.elapsed());
        let (files, bytes) = match &report.outcome {
            Outcome::Succeeded { packages } => sizes(&folder, packages)?,
            Outcome::Failed { .. } => (Vec::new(), 0),
        };
        let delivery = match report.settled {
            Settled::Reported => Delivery::Accepted,
            Settled::AttemptEnded => Delivery::AttemptEnded,
            Settled::Pending => Delivery::Failed,
        };
        let delivery_error = lock(&delivery_error).take();
        let finished = Finished {
            outcome: report.outcome,
            delivery,
            delivery_error,
            url: response.url,
            repository,
            bytes,
        };
        // Only the front's copies are left, which are not read after the front has exited.
        let _ = self.send(Message::Finished(finished)).await;
        if delivery == Delivery::Accepted && bytes <= self.config.max_artifact_bytes() {
            for name in files {
                let path = folder.package(&name);
                if self.send(Message::File { name }).await.is_err()
                    || self.output.send_file(path).await.is_err()
                {
                    break;
                }
            }
        }
        Ok(())
    }

    async fn send(&self, message: Message) -> std::io::Result<()> {
        self.output.send(Frame::Message(message)).await
    }

    fn agent(&self, client: Client, delivery_error: &DeliveryError) -> ConnectedAgent {
        let disconnect = CancellationToken::new();
        let (denied, recorded) = (disconnect.clone(), Arc::clone(delivery_error));
        let on_denied = move |error| {
            *lock(&recorded) = Some(format!("the server rejected the job's token: {error}"));
            denied.cancel();
        };
        let agent = Agent {
            connection: Arc::new(Connection::new(
                client,
                disconnect.clone(),
                Box::new(on_denied),
            )),
            builder: self.config.builder(self.folder.sandbox()),
            packager: self.config.packager.clone(),
            limits: self.config.limits.limits(),
            interrupt: Interrupt {
                now: self.stop.now.clone(),
                kind: FailureKind::Cancelled,
                message: STOPPED,
                reason: Arc::clone(&self.stop.reason),
            },
        };
        ConnectedAgent {
            agent: Arc::new(agent),
            disconnect,
        }
    }

    /// Starts the task that ends the agent's requests some time after the build was stopped.
    fn disconnect_after_stop(
        &self,
        agent: &ConnectedAgent,
        delivery_error: &DeliveryError,
    ) -> AbortOnDropHandle<()> {
        let (stop, disconnect) = (self.stop.now.clone(), agent.disconnect.clone());
        let delivery_error = Arc::clone(delivery_error);
        AbortOnDropHandle::new(spawn_named("disconnect after stop", async move {
            stop.cancelled().await;
            tokio::time::sleep(LAST_REPORTS_TIMEOUT).await;
            lock(&delivery_error).get_or_insert_with(|| "the job was stopped".to_owned());
            disconnect.cancel();
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
            let (name, own) = (self.config.name()?, list(&architectures));
            let why = explanations::other_architecture(&name, own, &build.architecture);
            return Ok((agent.fail(build.attempt, why).await, folder));
        }
        let log = Arc::new(LogFile::open(&folder.log())?);
        let copying = spawn_named("copy log", self.output.clone().copy_log(Arc::clone(&log)));
        let report = agent.run(build, &folder, log, false).await;
        copying.await.map_err(anyhow::Error::from)?;
        Ok((report, folder))
    }
}

/// An agent, and the token that ends its requests.
struct ConnectedAgent {
    agent: Arc<Agent>,
    disconnect: CancellationToken,
}

fn lock(error: &Mutex<Option<String>>) -> std::sync::MutexGuard<'_, Option<String>> {
    error.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the URL of the iteration's repository.
fn repository(client: &Client, build: &ClaimedBuild) -> String {
    format!(
        "{}/repo/{}/{}/{}",
        client.url(),
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
