//! Workers that build nothing, but report like real ones.

use std::sync::Arc;

use buildbtw_builder::BuiltPackage;
use buildbtw_model::api::{
    ClaimRequest, ClaimedBuild, HeartbeatResponse, LogAppended, Outcome, OutcomeAccepted, Problem,
    ProblemKind, ReportedPackage, UploadedPackage,
};
use buildbtw_model::client::{Client, ClientError};
use buildbtw_model::{ClaimId, FailureKind, PackageFileName};
use tempfile::TempDir;

use super::{eventually, make_packages, make_packages_with, refusal};

/// How long one claim waits; the server responds immediately if a build is ready.
const WAIT_S: u32 = 30;

/// A worker with a token of its own.
pub(crate) struct FakeWorker {
    pub(crate) client: Client,
    pub(crate) token: String,
    name: String,
    architectures: Vec<String>,
    folder: Arc<TempDir>,
}

impl FakeWorker {
    pub(crate) fn new(url: &str, token: String, name: &str, architectures: &[&str]) -> Self {
        Self {
            client: Client::new(url, Some(token.clone())).unwrap(),
            token,
            name: name.to_owned(),
            architectures: architectures.iter().map(|&name| name.to_owned()).collect(),
            folder: Arc::new(tempfile::tempdir().unwrap()),
        }
    }

    /// Returns the same worker after the server restarted at another address.
    pub(crate) fn at_server(&self, url: &str) -> Self {
        Self {
            client: Client::new(url, Some(self.token.clone())).unwrap(),
            token: self.token.clone(),
            name: self.name.clone(),
            architectures: self.architectures.clone(),
            folder: Arc::clone(&self.folder),
        }
    }

    pub(crate) fn request(&self, claim: ClaimId, wait_s: u32) -> ClaimRequest {
        let request = serde_json::json!({
            "claim": claim,
            "worker": self.name,
            "architectures": self.architectures,
            "wait_s": wait_s,
        });
        serde_json::from_value(request).unwrap()
    }

    /// Claims the next build, or `None` if the claim times out.
    pub(crate) async fn claims_once(
        &self,
        claim: ClaimId,
        wait_s: u32,
    ) -> Result<Option<Job>, ClientError> {
        let claimed = self.client.claim(&self.request(claim, wait_s)).await?;
        Ok(claimed.map(|claimed| self.job(claimed)))
    }

    /// Waits for the next build, of any pkgbase.
    pub(crate) async fn claims(&self) -> Job {
        let claim = ClaimId::new();
        eventually("a build to claim", async || {
            let job = self.claims_once(claim, WAIT_S).await;
            job.expect("the claim was rejected")
        })
        .await
    }

    /// Waits for the next build, which must be of this pkgbase.
    pub(crate) async fn claims_build_of(&self, pkgbase: &str) -> Job {
        let job = self.claims().await;
        assert_eq!(job.claimed.pkgbase.as_str(), pkgbase);
        job
    }

    /// Performs the next build, which must be of this pkgbase, from its claim to its outcome.
    pub(crate) async fn builds(&self, pkgbase: &str) -> Job {
        let job = self.claims_build_of(pkgbase).await;
        job.succeeds().await;
        job
    }

    /// Begins the work on a claimed build.
    pub(crate) fn job(&self, claimed: ClaimedBuild) -> Job {
        Job {
            claimed,
            client: self.client.clone(),
            folder: Arc::clone(&self.folder),
        }
    }
}

/// A claimed build.
pub(crate) struct Job {
    pub(crate) claimed: ClaimedBuild,
    pub(crate) client: Client,
    folder: Arc<TempDir>,
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {}", self.claimed.attempt, self.claimed.pkgbase)
    }
}

impl Job {
    /// Returns the folder in which its packages are created.
    pub(crate) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Sends a heartbeat; the first reports that the build has started.
    pub(crate) async fn heartbeat(&self) -> Result<HeartbeatResponse, ClientError> {
        self.client.heartbeat(self.claimed.attempt).await
    }

    pub(crate) async fn starts(&self) {
        self.heartbeat().await.expect("the heartbeat was rejected");
    }

    pub(crate) async fn logs(&self, offset: u64, text: &str) -> Result<LogAppended, ClientError> {
        let attempt = self.claimed.attempt;
        self.client.append_log(attempt, offset, text.into()).await
    }

    /// Creates its packages.
    pub(crate) async fn create_packages(&self) -> Vec<BuiltPackage> {
        self.makes_with_payload(0).await
    }

    pub(crate) async fn makes_with_payload(&self, payload: usize) -> Vec<BuiltPackage> {
        make_packages(&self.claimed, payload, self.folder.path())
    }

    /// Creates its packages, each with these files.
    pub(crate) fn makes_with_files(&self, files: &[(&str, Vec<u8>)]) -> Vec<BuiltPackage> {
        make_packages_with(&self.claimed, files, self.folder.path())
    }

    /// Uploads a package under its own name.
    pub(crate) async fn uploads(
        &self,
        package: &BuiltPackage,
    ) -> Result<UploadedPackage, ClientError> {
        self.uploads_as(&package.file_name, package).await
    }

    /// Uploads a package under any name.
    pub(crate) async fn uploads_as(
        &self,
        name: &PackageFileName,
        package: &BuiltPackage,
    ) -> Result<UploadedPackage, ClientError> {
        let attempt = self.claimed.attempt;
        self.client
            .upload_package(attempt, name, &package.sha256, &package.path)
            .await
    }

    /// Creates and uploads all expected packages.
    pub(crate) async fn makes_and_uploads(&self) -> Vec<BuiltPackage> {
        let packages = self.create_packages().await;
        for package in &packages {
            self.uploads(package)
                .await
                .expect("the upload was rejected");
        }
        packages
    }

    pub(crate) async fn reports(&self, outcome: &Outcome) -> Result<OutcomeAccepted, ClientError> {
        self.client
            .report_outcome(self.claimed.attempt, outcome)
            .await
    }

    /// Performs all steps of a successful build.
    pub(crate) async fn succeeds(&self) {
        self.starts().await;
        let packages = self.makes_and_uploads().await;
        let accepted = self.reports(&reported(&packages)).await;
        accepted.expect("the outcome was rejected");
    }

    pub(crate) async fn fails(&self, kind: FailureKind, message: &str) {
        self.starts().await;
        let accepted = self.reports(&failed(kind, message)).await;
        accepted.expect("the outcome was rejected");
    }

    /// Reports a failure that is not retried.
    pub(crate) async fn fails_permanently(&self, kind: FailureKind, message: &str) {
        self.starts().await;
        let outcome = failed(kind, message);
        for _ in 0..2 {
            let accepted = self
                .client
                .report_final_failure(self.claimed.attempt, &outcome)
                .await;
            accepted.expect("the outcome was rejected");
        }
    }

    /// Asserts that every kind of report is rejected: the attempt has ended.
    pub(crate) async fn expect_reports_rejected(&self) {
        let packages = self.create_packages().await;
        let expect_ended = |problem: Problem| {
            assert_eq!(problem.kind, ProblemKind::AttemptEnded, "{problem:?}");
            assert_eq!(problem.status, 409);
            assert!(problem.detail.is_some(), "{problem:?}");
        };
        expect_ended(refusal(self.heartbeat().await));
        expect_ended(refusal(self.logs(0, "late").await));
        expect_ended(refusal(self.uploads(&packages[0]).await));
        expect_ended(refusal(self.reports(&reported(&packages)).await));
        let late = failed(FailureKind::Package, "too late");
        expect_ended(refusal(self.reports(&late).await));
    }
}

/// Returns the outcome of a build with these packages.
pub(crate) fn reported(packages: &[BuiltPackage]) -> Outcome {
    let report = |package: &BuiltPackage| ReportedPackage {
        file_name: package.file_name.clone(),
        sha256: package.sha256.clone(),
    };
    Outcome::Succeeded {
        packages: packages.iter().map(report).collect(),
    }
}

/// Returns the outcome of a build without packages.
pub(crate) fn failed(kind: FailureKind, message: &str) -> Outcome {
    Outcome::failed(kind, message)
}
