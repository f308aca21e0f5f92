//! `/attempts`: the requests of builders, and logs.

use std::path::Path;
use std::time::Duration;

use reqwest::{Method, StatusCode};

use super::error::ClientError;
use super::{Client, REQUEST_TIMEOUT};
use crate::api::{
    AdoptAttempt, ClaimRequest, ClaimedBuild, ExchangeIdToken, ExchangedIdToken, HeartbeatResponse,
    LogAppended, Outcome, OutcomeAccepted, UploadedPackage, WorkerLoad,
};
use crate::{AttemptId, PackageFileName, Sha256Digest, WorkerName};

/// How much longer a claim may take than the wait that it requests.
const CLAIM_GRACE: Duration = Duration::from_secs(15);
/// The time that any upload may take, plus time that depends on its size.
const UPLOAD_GRACE: Duration = Duration::from_secs(120);
/// The slowest accepted upload, in bytes per second.
const SLOWEST_UPLOAD: u64 = 64 * 1024;

impl Client {
    /// Claims a build and waits for one to become ready; `None` if none did in time.
    ///
    /// # Errors
    /// Fails when the server cannot be reached or rejects the request. Repeat it with the same claim id.
    pub async fn claim(&self, claim: &ClaimRequest) -> Result<Option<ClaimedBuild>, ClientError> {
        let timeout = Duration::from_secs(claim.wait_s.into()) + CLAIM_GRACE;
        let request = self
            .request(Method::POST, &["attempts", "claim"])
            .timeout(timeout)
            .json(claim);
        let response = self.send(request).await?;
        if response.status() == StatusCode::NO_CONTENT {
            return Ok(None);
        }
        self.decode(response).await.map(Some)
    }

    /// Exchanges the ID token of a job for the build that the job was started for. Needs no token.
    ///
    /// # Errors
    /// Fails when the server cannot be reached or rejects the request. While the server does not know yet which
    /// pipeline belongs to the attempt, the error is transient.
    pub async fn exchange_id_token(
        &self,
        attempt: AttemptId,
        exchange: &ExchangeIdToken,
    ) -> Result<ExchangedIdToken, ClientError> {
        let segments = ["exchange"];
        self.json(
            self.attempt_request(Method::POST, attempt, &segments)
                .json(exchange),
        )
        .await
    }

    /// Adopts an attempt that this worker claimed with a token that is no longer valid.
    ///
    /// # Errors
    /// Fails when the server cannot be reached or rejects the request: the other token is still valid, or the attempt
    /// belongs to another worker.
    pub async fn adopt_attempt(
        &self,
        attempt: AttemptId,
        worker: &WorkerName,
    ) -> Result<(), ClientError> {
        let segments = ["adopt"];
        let adopt = AdoptAttempt {
            worker: worker.clone(),
        };
        let request = self
            .attempt_request(Method::POST, attempt, &segments)
            .json(&adopt);
        self.send(request).await.map(drop)
    }

    /// Renews the lease; the first heartbeat reports that the build has started.
    ///
    /// # Errors
    /// Fails when the server cannot be reached or rejects the request.
    pub async fn heartbeat(&self, attempt: AttemptId) -> Result<HeartbeatResponse, ClientError> {
        self.heartbeat_with(attempt, None).await
    }

    /// Renews the lease, and reports how busy the worker is.
    ///
    /// # Errors
    /// Fails when the server cannot be reached or rejects the request.
    pub async fn heartbeat_with(
        &self,
        attempt: AttemptId,
        load: Option<&WorkerLoad>,
    ) -> Result<HeartbeatResponse, ClientError> {
        let mut request = self.attempt_request(Method::POST, attempt, &["heartbeat"]);
        if let Some(load) = load {
            request = request.query(load);
        }
        self.json(request).await
    }

    /// Appends `chunk` to the log at `offset`. The next chunk begins at the length in the response.
    ///
    /// # Errors
    /// Fails when the server cannot be reached or rejects the request.
    pub async fn append_log(
        &self,
        attempt: AttemptId,
        offset: u64,
        chunk: Vec<u8>,
    ) -> Result<LogAppended, ClientError> {
        let segments = ["log"];
        let request = self
            .attempt_request(Method::POST, attempt, &segments)
            .query(&[("offset", offset)])
            .body(chunk);
        self.json(request).await
    }

    /// Uploads a package file. Repeating the upload is idempotent.
    ///
    /// # Errors
    /// Fails when the file cannot be read, or the server cannot be reached or rejects the request.
    pub async fn upload_package(
        &self,
        attempt: AttemptId,
        file_name: &PackageFileName,
        sha256: &Sha256Digest,
        path: &Path,
    ) -> Result<UploadedPackage, ClientError> {
        let local = |source| ClientError::LocalFile {
            path: path.into(),
            source,
        };
        let file = tokio::fs::File::open(path).await.map_err(local)?;
        let size = file.metadata().await.map_err(local)?.len();
        let body = reqwest::Body::wrap_stream(tokio_util::io::ReaderStream::new(file));
        let segments = ["packages", file_name.as_str()];
        // The response comes after the whole file, so a read timeout does not apply.
        let request = self
            .upload_request(Method::PUT, attempt, &segments)
            .timeout(UPLOAD_GRACE + Duration::from_secs(size / SLOWEST_UPLOAD))
            .query(&[("sha256", sha256.as_str())])
            .header(reqwest::header::CONTENT_LENGTH, size)
            .body(body);
        let response = self.send(request).await?;
        self.decode(response).await
    }

    /// Uploads the PKGBUILD from which the packages were built.
    ///
    /// # Errors
    /// Fails when the server cannot be reached or rejects the request.
    pub async fn upload_pkgbuild(
        &self,
        attempt: AttemptId,
        text: Vec<u8>,
    ) -> Result<(), ClientError> {
        let segments = ["pkgbuild"];
        let request = self
            .attempt_request(Method::PUT, attempt, &segments)
            .body(text);
        self.send(request).await.map(drop)
    }

    /// Reports how the attempt ended. Repeat it until the server responds; from then on the outcome is stored durably.
    ///
    /// # Errors
    /// Fails when the server cannot be reached or rejects the request.
    pub async fn report_outcome(
        &self,
        attempt: AttemptId,
        outcome: &Outcome,
    ) -> Result<OutcomeAccepted, ClientError> {
        let segments = ["outcome"];
        self.json(
            self.attempt_request(Method::PUT, attempt, &segments)
                .json(outcome),
        )
        .await
    }

    /// Reports a failure that a retry cannot fix: the build fails, whatever the failure kind. Servers that do not know
    /// this option still retry infrastructure failures.
    ///
    /// # Errors
    /// Fails when the server cannot be reached or rejects the request.
    pub async fn report_final_failure(
        &self,
        attempt: AttemptId,
        outcome: &Outcome,
    ) -> Result<OutcomeAccepted, ClientError> {
        let segments = ["outcome"];
        let request = self.attempt_request(Method::PUT, attempt, &segments);
        self.json(request.query(&[("retry", "false")]).json(outcome))
            .await
    }

    /// Returns the log from `offset` on, as a stream of bytes. With `follow`, the stream ends when the attempt does.
    ///
    /// # Errors
    /// Fails when the server cannot be reached or rejects the request.
    pub async fn log(
        &self,
        attempt: AttemptId,
        offset: u64,
        follow: bool,
    ) -> Result<reqwest::Response, ClientError> {
        let segments = ["attempts", &attempt.to_string(), "log"];
        let mut request = self.request(Method::GET, &segments).query(&[
            ("offset", offset.to_string()),
            ("follow", follow.to_string()),
        ]);
        if !follow {
            request = request.timeout(REQUEST_TIMEOUT);
        }
        self.send(request).await
    }
}
