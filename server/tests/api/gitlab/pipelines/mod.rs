//! Builds as GitLab pipelines. The tests act as the jobs: they send what an executor sends.

mod dispatch;
mod ends;
mod exchange;
mod faults;
mod manual_actions;
mod neighbours;
mod silent_jobs;

use buildbtw_fake_gitlab::{JobId, JobView, PipelineId, PipelineView, Status};
use buildbtw_model::api::{BuildSummary, ExchangeIdToken, ExchangedIdToken};
use buildbtw_model::client::{Client, ClientError};
use buildbtw_model::{AttemptId, BuildStatus, IterationStatus};

use super::Forge;
use crate::support::{FakeWorker, Job, ServerOptions, Srcinfo, TestServer, eventually};

const TEMPLATE: &str = include_str!("../../../../../ci/buildbtw.yml");
/// Where the template is.
const CI_PROJECT: &str = "packaging/ci";
pub(super) const CI_CONFIG: &str = "buildbtw.yml@packaging/ci";
/// Meets the minimum length of a secret.
const SECRET: &str = "bbtw_0123456789abcdef0123456789abcdef0123456789ab";

impl Forge {
    /// Starts a stand-in that builds: with the template, and a token that may create pipelines.
    pub(super) async fn that_builds(packages: &[Srcinfo]) -> Self {
        let mut forge = Self::empty().await;
        forge.token = forge.gitlab.create_token(&["api"]);
        forge.write("token", &forge.token);
        let ci = forge.gitlab.create_project(CI_PROJECT).unwrap();
        forge.change_template(TEMPLATE);
        forge.gitlab.set_build_timeout(ci, 3_600).unwrap();
        for package in packages {
            forge.push(package);
            let project = forge.project(&package.pkgbase);
            forge.gitlab.set_ci_config_path(project, CI_CONFIG).unwrap();
        }
        forge
    }

    fn change_template(&self, text: &str) {
        let project = self.gitlab.project_id(CI_PROJECT).unwrap();
        let files = [("buildbtw.yml", Some(text.as_bytes()))];
        self.gitlab
            .commit(project, "main", &files, "change")
            .unwrap();
    }

    /// Returns the options of a server that builds there and polls pipelines only on request.
    fn building(&self) -> ServerOptions {
        self.building_with(&[])
    }

    fn building_with(&self, more: &[&str]) -> ServerOptions {
        let mut options = self.options();
        let ours = [
            "--run-builds-on-gitlab=true",
            "--gitlab-pipeline-seconds=3600",
            "--gitlab-pipelines-per-minute=60000",
            "--gitlab-settle-seconds=1",
        ];
        let name = |flag: &str| flag.split('=').next().map(str::to_owned);
        let ours = ours
            .iter()
            .filter(|ours| more.iter().all(|more| name(more) != name(ours)));
        options
            .extra
            .extend(ours.chain(more).map(|&flag| flag.to_owned()));
        options
    }

    /// Starts a server that builds there and receives all webhooks.
    async fn server_that_builds(&self) -> TestServer {
        let server = self.server_with(self.building()).await;
        self.hook(&server, true);
        server
    }

    /// Returns the pipelines of a package's project, oldest first.
    fn pipelines(&self, pkgbase: &str) -> Vec<PipelineView> {
        self.gitlab.pipelines(self.project(pkgbase))
    }

    /// Waits until a package's project has this many pipelines, and returns the newest.
    async fn pipeline(&self, pkgbase: &str, count: usize) -> PipelineView {
        eventually("a pipeline", async || {
            let mut all = self.pipelines(pkgbase);
            (all.len() >= count).then(|| all.remove(count - 1))
        })
        .await
    }

    /// Returns the job of a pipeline that was not retried.
    fn job_of(&self, pipeline: PipelineId) -> JobView {
        let mut jobs = self.gitlab.jobs(pipeline);
        jobs.retain(|job| !job.retried);
        jobs.pop().unwrap()
    }

    /// Waits for the pipeline of a build, and lets its job run.
    async fn job(&self, server: &TestServer, pkgbase: &str, count: usize) -> Runner<'_> {
        let pipeline = self.pipeline(pkgbase, count).await;
        self.runs(server, pipeline.id)
    }

    fn runs(&self, server: &TestServer, pipeline: PipelineId) -> Runner<'_> {
        let job = self.job_of(pipeline);
        self.gitlab.begin_job(job.id).unwrap();
        Runner {
            forge: self,
            url: server.url().to_owned(),
            pipeline,
            job: job.id,
        }
    }
}

/// A job that runs.
struct Runner<'a> {
    forge: &'a Forge,
    url: String,
    pipeline: PipelineId,
    job: JobId,
}

impl Runner<'_> {
    /// Returns the attempt it was created for.
    fn attempt(&self) -> AttemptId {
        let pipeline = self.forge.gitlab.pipeline(self.pipeline).unwrap();
        pipeline.inputs["attempt"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap()
    }

    fn id_token(&self) -> String {
        self.forge.gitlab.job_id_token(self.job, &self.url).unwrap()
    }

    /// Exchanges an ID token for the build, as soon as the server knows the pipeline.
    async fn exchanges(
        &self,
        id_token: &str,
        secret: &str,
    ) -> Result<ExchangedIdToken, ClientError> {
        let request = ExchangeIdToken {
            id_token: id_token.to_owned(),
            token: secret.to_owned(),
            worker: "builder-1".parse().unwrap(),
        };
        let client = Client::new(&self.url, None).unwrap();
        eventually("a response", async || {
            match client.exchange_id_token(self.attempt(), &request).await {
                Err(error) if error.is_transient() => None,
                response => Some(response),
            }
        })
        .await
    }

    /// Claims the build as an executor does.
    async fn claim_as_executor(&self) -> Job {
        let secret = format!("{SECRET}{}", self.job.0);
        let response = self.exchanges(&self.id_token(), &secret).await.unwrap();
        let worker = FakeWorker::new(&self.url, secret, "builder-1", &["x86_64"]);
        worker.job(response.build)
    }

    /// Performs all steps of a successful build.
    async fn succeeds(&self) {
        self.claim_as_executor().await.succeeds().await;
        self.ends(Status::Success, None);
    }

    /// Ends the job in GitLab.
    fn ends(&self, status: Status, reason: Option<&str>) {
        self.forge
            .gitlab
            .finish_job(self.job, status, reason)
            .unwrap();
    }
}

/// Returns libgreet, and greeter, which links it.
fn packages() -> [Srcinfo; 2] {
    [
        Srcinfo::new("libgreet", "2.0-1"),
        Srcinfo::new("greeter", "1.0-1").depends(&["libgreet"]),
    ]
}

/// Waits until a build has this status.
async fn build_that_is(server: &TestServer, pkgbase: &str, status: BuildStatus) -> BuildSummary {
    eventually("the build's status", async || {
        let build = server.build("bump", pkgbase).await;
        (build.status == status).then_some(build)
    })
    .await
}

/// Waits for the end of the namespace's iteration.
async fn ends_as(server: &TestServer, status: IterationStatus) {
    eventually("the end", async || {
        let now = server.iteration("bump").await.summary.status;
        (now == status).then_some(())
    })
    .await;
}
