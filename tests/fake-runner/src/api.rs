//! Requests of the runner to GitLab.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use jiff::Timestamp;
use reqwest::header::{CONTENT_RANGE, CONTENT_TYPE, HeaderMap};
use reqwest::{RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

use crate::config::RunnerConfig;
use crate::job::Job;

/// The features that a 19.x runner with the custom executor and bash reports.
const FEATURES: [&str; 22] = [
    "variables",
    "shared",
    "service_variables",
    "artifacts",
    "cache",
    "fallback_cache_keys",
    "upload_multiple_artifacts",
    "upload_raw_artifacts",
    "refspecs",
    "masking",
    "raw_variables",
    "artifacts_exclude",
    "multi_build_steps",
    "vault_secrets",
    "return_exit_code",
    "trace_reset",
    "trace_checksum",
    "trace_size",
    "cancelable",
    "cancel_gracefully",
    "two_phase_job_commit",
    "job_inputs",
];

/// The version that the runner reports.
pub(crate) const VERSION: &str = "19.4.0";
/// The number of attempts while GitLab is overloaded.
const ATTEMPTS: usize = 5;
/// The longest pause between two attempts.
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// The response to a request for a job.
pub(crate) enum Requested {
    Job(Box<Job>),
    Nothing,
    /// GitLab does not know the runner.
    Refused,
}

/// The job's status, from GitLab's view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Directive {
    /// Continue.
    Continue,
    /// Stop the script and clean up.
    Cancel,
    /// Stop everything.
    Abort,
}

/// The response to a chunk of log.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Patched {
    /// Stored. GitLab has this many bytes.
    Done(usize),
    /// GitLab has this many bytes, and expects the ones that follow.
    OffsetMismatch(usize),
    Failed,
}

/// The response to an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Updated {
    Done,
    /// To be repeated.
    Repeat,
    /// The log has to be sent again.
    ResendLog,
    /// The job is no longer the runner's.
    Gone,
    Failed,
}

/// The other information in a response.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Instructions {
    pub(crate) directive: Directive,
    pub(crate) interval: Option<Duration>,
}

impl Instructions {
    fn of(response: &Response) -> Self {
        let headers = response.headers();
        let directive = match (text(headers, "job-status"), response.status()) {
            (Some("canceled" | "failed"), _) | (_, StatusCode::FORBIDDEN) => Directive::Abort,
            (Some("canceling"), _) => Directive::Cancel,
            _ => Directive::Continue,
        };
        let interval = text(headers, "x-gitlab-trace-update-interval");
        let seconds = interval.and_then(|seconds| seconds.parse::<u64>().ok());
        Self {
            directive,
            // At most a quarter of an hour.
            interval: seconds
                .filter(|seconds| *seconds > 0)
                .map(|seconds| Duration::from_secs(seconds.min(900))),
        }
    }

    fn nothing() -> Self {
        Self {
            directive: Directive::Continue,
            interval: None,
        }
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The final state of a job.
#[derive(Clone, Debug)]
pub(crate) struct FinalState {
    pub(crate) success: bool,
    pub(crate) failure_reason: Option<String>,
    pub(crate) exit_code: Option<i64>,
    pub(crate) checksum: String,
    pub(crate) size: usize,
}

/// A client of the API for runners.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    client: reqwest::Client,
    base: String,
    token: String,
    system_id: String,
    description: String,
    pause: Duration,
}

impl Api {
    pub(crate) fn new(config: &RunnerConfig) -> reqwest::Result<Self> {
        let client = reqwest::Client::builder()
            .no_proxy()
            .user_agent(format!(
                "gitlab-runner {VERSION} (main; go1.26.5; linux/amd64)"
            ))
            .build()?;
        let url = config.url.trim_end_matches('/').trim_end_matches("/ci");
        Ok(Self {
            client,
            base: format!("{url}/api/v4"),
            token: config.token.clone(),
            system_id: config.system_id.clone(),
            description: config.description.clone(),
            pause: config.retry_pause,
        })
    }

    fn info(&self) -> Value {
        let features = FEATURES
            .into_iter()
            .map(|name| (name.to_owned(), json!(true)));
        json!({
            "name": self.description,
            "version": VERSION,
            "revision": "00000000",
            "platform": "linux",
            "architecture": "amd64",
            "executor": "custom",
            "shell": "bash",
            "features": Value::Object(features.collect()),
            "config": { "gpus": "" },
            "labels": {},
        })
    }

    /// Sends a request, and repeats it while GitLab is overloaded.
    async fn send(&self, request: RequestBuilder) -> reqwest::Result<Response> {
        let pauses = ExponentialBuilder::new()
            .with_min_delay(self.pause)
            .with_max_delay(MAX_PAUSE)
            .with_max_times(ATTEMPTS - 1);
        for pause in pauses.build() {
            let Some(copy) = request.try_clone() else {
                break;
            };
            let response = copy.send().await?;
            if !is_retryable(response.status()) {
                return Ok(response);
            }
            tokio::time::sleep(requested_pause(response.headers()).unwrap_or(pause)).await;
        }
        request.send().await
    }

    /// Requests a job. `last_update` is updated from the response, for the next request.
    pub(crate) async fn request(
        &self,
        last_update: &mut Option<String>,
    ) -> Result<Requested, String> {
        let mut body = json!({
            "info": self.info(),
            "token": self.token,
            "system_id": self.system_id,
        });
        if let Some(last_update) = last_update.as_ref() {
            body["last_update"] = json!(last_update);
        }
        let request = self
            .client
            .post(format!("{}/jobs/request", self.base))
            .header("RUNNER-TOKEN", &self.token)
            .json(&body);
        let response = self
            .send(request)
            .await
            .map_err(|error| error.to_string())?;
        if let Some(update) = text(response.headers(), "x-gitlab-last-update") {
            *last_update = Some(update.to_owned());
        }
        match response.status() {
            StatusCode::CREATED => {
                let kind = text(response.headers(), "content-type").unwrap_or_default();
                if !kind.starts_with("application/json") {
                    return Err(format!("the job is {kind:?}, not JSON"));
                }
                let body = response.bytes().await.map_err(|error| error.to_string())?;
                let job = serde_json::from_slice(&body).map_err(|error| error.to_string())?;
                Ok(Requested::Job(Box::new(job)))
            }
            StatusCode::FORBIDDEN => Ok(Requested::Refused),
            StatusCode::NO_CONTENT => Ok(Requested::Nothing),
            status => Err(format!("GitLab responded with {status}")),
        }
    }

    fn update(&self, job: &Job, state: &str) -> Value {
        json!({ "info": self.info(), "token": job.token, "state": state })
    }

    async fn put(&self, job: &Job, body: &Value) -> (Updated, Instructions) {
        let request = self
            .client
            .put(format!("{}/jobs/{}", self.base, job.id))
            .header("JOB-TOKEN", &job.token)
            .json(body);
        let Ok(response) = self.send(request).await else {
            return (Updated::Failed, Instructions::nothing());
        };
        let instructions = Instructions::of(&response);
        let updated = match response.status() {
            StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => Updated::Gone,
            _ if instructions.directive == Directive::Abort => Updated::Gone,
            StatusCode::OK => Updated::Done,
            StatusCode::ACCEPTED => Updated::Repeat,
            StatusCode::PRECONDITION_FAILED => Updated::ResendLog,
            _ => Updated::Failed,
        };
        (updated, instructions)
    }

    /// Reports that the job runs.
    pub(crate) async fn running(&self, job: &Job) -> (Updated, Instructions) {
        self.put(job, &self.update(job, "running")).await
    }

    /// Reports the final state of the job.
    pub(crate) async fn finish(&self, job: &Job, end: &FinalState) -> (Updated, Instructions) {
        let mut body = self.update(job, if end.success { "success" } else { "failed" });
        body["checksum"] = json!(end.checksum);
        body["output"] = json!({ "checksum": end.checksum, "bytesize": end.size });
        if let Some(reason) = &end.failure_reason {
            body["failure_reason"] = json!(reason);
        }
        if let Some(code) = end.exit_code.filter(|code| *code != 0) {
            body["exit_code"] = json!(code);
        }
        self.put(job, &body).await
    }

    /// Sends a chunk of the log.
    pub(crate) async fn patch(
        &self,
        job: &Job,
        start: usize,
        piece: Vec<u8>,
        is_debugged: bool,
    ) -> (Patched, Instructions) {
        let end = start + piece.len().saturating_sub(1);
        let request = self
            .client
            .patch(format!("{}/jobs/{}/trace", self.base, job.id))
            .query(&[("debug_trace", is_debugged)])
            .header("JOB-TOKEN", &job.token)
            .header(CONTENT_TYPE, "text/plain")
            .header(CONTENT_RANGE, format!("{start}-{end}"))
            .body(piece);
        let Ok(response) = self.send(request).await else {
            return (Patched::Failed, Instructions::nothing());
        };
        let instructions = Instructions::of(&response);
        let stored = text(response.headers(), "range")
            .and_then(|range| range.split_once('-')?.1.parse().ok());
        let patched = match (response.status(), stored) {
            (StatusCode::ACCEPTED, stored) => Patched::Done(stored.unwrap_or(end + 1)),
            (StatusCode::RANGE_NOT_SATISFIABLE, Some(stored)) => Patched::OffsetMismatch(stored),
            _ => Patched::Failed,
        };
        (patched, instructions)
    }
}

fn is_retryable(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 500 | 502 | 503 | 504) || status.as_u16() >= 512
}

/// Returns the pause that GitLab requests.
fn requested_pause(headers: &HeaderMap) -> Option<Duration> {
    if let Some(reset) = text(headers, "ratelimit-resettime") {
        let at = jiff::fmt::rfc2822::parse(reset).ok()?.timestamp();
        let wait = at.duration_since(Timestamp::now());
        return Some(Duration::try_from(wait).unwrap_or_default());
    }
    let seconds = text(headers, "retry-after")?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}
