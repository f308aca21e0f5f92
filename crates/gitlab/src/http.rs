//! Sends requests to GitLab, retries those that failed transiently, and respects GitLab's rate limit.

use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use buildbtw_model::settings::read_bytes;
use buildbtw_model::{Explanation, saturating};
use jiff::Timestamp;
use reqwest::header::DATE;
use reqwest::{Method, RequestBuilder, Url};
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::error::{GitlabError, GitlabErrorKind};
use crate::observer::{RateLimitState, RequestObserver};
use crate::rate_limit::RateLimit;
use crate::response::{connection_error, error_kind, header_text, http_date, read_body};
use crate::settings::{GitlabSettings, Secret};

/// A query may take 30 s in GitLab, and the response may be large.
const TIMEOUT: Duration = Duration::from_secs(60);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The number of concurrent requests.
const CONCURRENCY: usize = 4;
const MIN_BACKOFF: Duration = Duration::from_millis(250);
const MAX_BACKOFF: Duration = Duration::from_secs(20);

/// How long a request is retried.
#[derive(Clone, Copy, Debug)]
pub(crate) enum RetryBudget {
    /// A user waits for the response.
    Interactive,
    /// A background task, which has a backoff of its own.
    Background,
}

impl RetryBudget {
    /// Returns the time after which no further attempt begins.
    fn limit(self) -> Duration {
        match self {
            Self::Interactive => Duration::from_secs(8),
            Self::Background => Duration::from_secs(20),
        }
    }

    /// Returns the timeout of an attempt that begins now.
    fn attempt_timeout(self, deadline: Instant) -> Duration {
        match self {
            Self::Interactive => deadline
                .saturating_duration_since(Instant::now())
                .max(Duration::from_secs(1)),
            // GitLab may need its whole 30 s for a large page.
            Self::Background => TIMEOUT,
        }
    }
}

/// Which transient failures are retried.
#[derive(Clone, Copy, Debug)]
enum RetryPolicy {
    /// All of them: the request is idempotent.
    Always,
    /// Only those that certainly had no effect.
    IfNoEffect,
}

/// What a request is about, for errors and logs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'a> {
    /// The name of the query, or what the request does.
    pub(crate) request: &'static str,
    /// The group or project.
    pub(crate) about: &'a str,
}

impl Subject<'_> {
    fn error(self, request_id: Option<String>, kind: GitlabErrorKind) -> GitlabError {
        GitlabError {
            request: self.request,
            about: self.about.to_owned(),
            request_id,
            kind,
        }
    }
}

/// A response with a success status.
pub(crate) struct Response {
    pub(crate) body: bytes::Bytes,
    /// GitLab's own clock at the response.
    pub(crate) date: Option<Timestamp>,
    pub(crate) rate_limit: Option<RateLimitState>,
    pub(crate) request_id: Option<String>,
}

impl Response {
    /// Parses the body as JSON.
    pub(crate) fn json<T: DeserializeOwned>(&self, subject: Subject<'_>) -> Result<T, GitlabError> {
        serde_json::from_slice(&self.body).map_err(|error| {
            let kind = GitlabErrorKind::Unexpected(error.to_string());
            subject.error(self.request_id.clone(), kind)
        })
    }
}

fn read_token(settings: &GitlabSettings) -> anyhow::Result<Secret> {
    Ok(Secret::read("--gitlab-token-file", &settings.token_file)?)
}

pub(crate) struct Http {
    client: reqwest::Client,
    base: Url,
    settings: GitlabSettings,
    token: RwLock<Secret>,
    running: Semaphore,
    rate_limit: RateLimit,
    observer: OnceLock<Arc<dyn RequestObserver>>,
}

impl Http {
    pub(crate) fn new(settings: GitlabSettings) -> anyhow::Result<Self> {
        let token = read_token(&settings)?;
        let mut builder = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            // GitLab's responses name the new path of a moved project; a redirect must not carry the token elsewhere.
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("buildbtw/", env!("CARGO_PKG_VERSION")));
        if let Some(proxy) = &settings.proxy {
            let proxy = reqwest::Proxy::all(proxy.reveal()).map_err(|_| {
                // The URL may contain a password.
                Explanation::with_hint(
                    "--gitlab-proxy is not the URL of a proxy",
                    "write it like `http://proxy.example.org:3128`",
                )
            })?;
            builder = builder.no_proxy().proxy(proxy);
        }
        if let Some(path) = &settings.ca {
            const HINT: &str = "name a PEM file, with lines like `-----BEGIN CERTIFICATE-----`";
            let pem = read_bytes(path).map_err(|error| {
                let message = format!("cannot read --gitlab-ca `{}`: {error}", path.display());
                Explanation::with_hint(message, HINT)
            })?;
            let certificates = reqwest::Certificate::from_pem_bundle(&pem)
                .ok()
                .filter(|certificates| !certificates.is_empty())
                .ok_or_else(|| {
                    let path = path.display();
                    let message = format!("--gitlab-ca: `{path}` contains no PEM certificate");
                    Explanation::with_hint(message, HINT)
                })?;
            for certificate in certificates {
                builder = builder.add_root_certificate(certificate);
            }
        }
        Ok(Self {
            client: builder.build()?,
            base: settings.url.clone(),
            settings,
            token: RwLock::new(token),
            running: Semaphore::new(CONCURRENCY),
            rate_limit: RateLimit::default(),
            observer: OnceLock::new(),
        })
    }

    /// Sets the observer of all requests, once.
    pub(crate) fn observe(&self, observer: Arc<dyn RequestObserver>) {
        // A second one would count the same requests.
        let _ = self.observer.set(observer);
    }

    fn sent(&self, subject: Subject<'_>, status: Option<u16>, since: Instant) {
        if let Some(observer) = self.observer.get() {
            observer.sent(subject.request, status, since.elapsed());
        }
    }

    pub(crate) fn settings(&self) -> &GitlabSettings {
        &self.settings
    }

    /// Posts a JSON body to a path below the base URL. The request must be idempotent.
    pub(crate) async fn post(
        &self,
        subject: Subject<'_>,
        path: &str,
        body: &serde_json::Value,
        budget: RetryBudget,
    ) -> Result<Response, GitlabError> {
        self.send_json(subject, Method::POST, path, body, budget)
            .await
    }

    /// Sends a JSON body with another method. The request must be idempotent.
    pub(crate) async fn send_json(
        &self,
        subject: Subject<'_>,
        method: Method,
        path: &str,
        body: &serde_json::Value,
        budget: RetryBudget,
    ) -> Result<Response, GitlabError> {
        let url = self.url(path);
        let request = || self.client.request(method.clone(), url.clone()).json(body);
        self.send(subject, budget, RetryPolicy::Always, request)
            .await
    }

    /// Gets a path below the base URL.
    pub(crate) async fn get(
        &self,
        subject: Subject<'_>,
        path: &str,
        budget: RetryBudget,
    ) -> Result<Response, GitlabError> {
        self.get_with(subject, path, &[], budget).await
    }

    /// Gets a path below the base URL, with query parameters.
    pub(crate) async fn get_with(
        &self,
        subject: Subject<'_>,
        path: &str,
        parameters: &[(&str, &str)],
        budget: RetryBudget,
    ) -> Result<Response, GitlabError> {
        let url = self.url(path);
        let request = || self.client.get(url.clone()).query(parameters);
        self.send(subject, budget, RetryPolicy::Always, request)
            .await
    }

    /// Sends a request that must not take effect twice: it is only retried after failures that certainly had no
    /// effect.
    pub(crate) async fn send_non_idempotent(
        &self,
        subject: Subject<'_>,
        method: Method,
        path: &str,
        body: &serde_json::Value,
        budget: RetryBudget,
    ) -> Result<Response, GitlabError> {
        let url = self.url(path);
        let request = || self.client.request(method.clone(), url.clone()).json(body);
        self.send(subject, budget, RetryPolicy::IfNoEffect, request)
            .await
    }

    fn url(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        // GitLab may be served below a path.
        let full = format!("{}/{path}", url.path().trim_end_matches('/'));
        url.set_path(&full);
        url
    }

    /// Sends a request until it succeeds, fails permanently, or the budget ends.
    async fn send(
        &self,
        subject: Subject<'_>,
        budget: RetryBudget,
        policy: RetryPolicy,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<Response, GitlabError> {
        let deadline = Instant::now() + budget.limit();
        let mut pauses = ExponentialBuilder::default()
            .with_min_delay(MIN_BACKOFF)
            .with_max_delay(MAX_BACKOFF)
            .with_jitter()
            .without_max_times()
            .build();
        loop {
            let allowed = self.rate_limit.wait(deadline).await;
            allowed.map_err(|kind| subject.error(None, kind))?;
            let token = self.token();
            let request = request().timeout(budget.attempt_timeout(deadline));
            let error = match self.try_once(subject, request, &token).await {
                Ok(response) => return Ok(response),
                Err(error) => error,
            };
            if matches!(error.kind, GitlabErrorKind::InvalidToken(_)) && self.reload_token(&token) {
                continue;
            }
            let may_retry = match policy {
                RetryPolicy::Always => true,
                RetryPolicy::IfNoEffect => error.kind.had_no_effect(),
            };
            if !error.kind.is_transient() || !may_retry {
                return Err(error);
            }
            // A `Retry-After` of 0 must not lead to a busy loop.
            let own = pauses.next().unwrap_or(MAX_BACKOFF);
            let pause = match error.kind.pause() {
                Some(requested) => {
                    self.rate_limit.pause(requested);
                    requested.max(own)
                }
                None => own,
            };
            if Instant::now() + pause >= deadline {
                return Err(error);
            }
            tracing::debug!(
                gitlab.request = subject.request,
                error = error.to_string(),
                pause_ms = saturating::<u64, _>(pause.as_millis()),
                "GitLab request failed; retrying"
            );
            tokio::time::sleep(pause).await;
        }
    }

    async fn try_once(
        &self,
        subject: Subject<'_>,
        request: RequestBuilder,
        token: &Secret,
    ) -> Result<Response, GitlabError> {
        // The semaphore is never closed.
        let _running = self.running.acquire().await.ok();
        let began = Instant::now();
        let response = request.bearer_auth(token.reveal()).send().await;
        let response = response.map_err(|error| {
            self.sent(subject, None, began);
            subject.error(None, connection_error(error))
        })?;
        let status = response.status();
        let headers = response.headers().clone();
        self.sent(subject, Some(status.as_u16()), began);
        let rate_limit = RateLimitState::read(&headers);
        if let (Some(observer), Some(state)) = (self.observer.get(), rate_limit) {
            observer.rate_limit(state);
        }
        let request_id = header_text(&headers, "x-request-id").map(str::to_owned);
        let date = header_text(&headers, DATE.as_str()).and_then(http_date);
        self.rate_limit.note(&headers, date);
        let body = read_body(response)
            .await
            .map_err(|kind| subject.error(request_id.clone(), kind))?;
        if status.is_success() {
            return Ok(Response {
                body,
                date,
                rate_limit,
                request_id,
            });
        }
        let kind = error_kind(status, &headers, date, &body);
        Err(subject.error(request_id, kind))
    }

    pub(crate) fn read_token_again(&self) -> anyhow::Result<()> {
        let new = read_token(&self.settings)?;
        *self.token.write().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(())
    }

    fn token(&self) -> Secret {
        let token = self.token.read().unwrap_or_else(PoisonError::into_inner);
        token.clone()
    }

    /// Returns whether a token other than the rejected one is available, from the file or already read from it by
    /// another request.
    fn reload_token(&self, refused: &Secret) -> bool {
        let Ok(new) = read_token(&self.settings) else {
            return false;
        };
        let mut token = self.token.write().unwrap_or_else(PoisonError::into_inner);
        if *token == new {
            return *token != *refused;
        }
        *token = new;
        tracing::info!("GitLab rejected the token; using the new one from the token file");
        true
    }
}
