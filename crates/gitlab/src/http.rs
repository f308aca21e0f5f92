//! Sends requests to GitLab: one client, which retries what may succeed later and keeps to GitLab's rate
//! limit.

use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use jiff::Timestamp;
use reqwest::header::DATE;
use reqwest::{Method, RequestBuilder, Url};
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::answer::{connection_error, failure, http_date, read, text};
use crate::error::{GitlabError, GitlabErrorKind};
use crate::rate_limit::RateLimit;
use crate::settings::{GitlabSettings, Secret};

/// A query may take 30 s on GitLab's side; the answer may be large.
const TIMEOUT: Duration = Duration::from_secs(60);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How many requests run at the same time.
const CONCURRENCY: usize = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(20);

/// How long to go on trying.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Patience {
    /// Somebody waits for the answer.
    Short,
    /// A background task asks, which has its own pauses besides.
    Long,
}

impl Patience {
    /// No try begins later.
    fn limit(self) -> Duration {
        match self {
            Self::Short => Duration::from_secs(8),
            Self::Long => Duration::from_secs(20),
        }
    }

    /// How long one try may take that begins now.
    fn of_try(self, deadline: Instant) -> Duration {
        match self {
            Self::Short => deadline
                .saturating_duration_since(Instant::now())
                .max(Duration::from_secs(1)),
            // A large page may take GitLab its whole 30 s.
            Self::Long => TIMEOUT,
        }
    }
}

/// When a request may be sent again that failed for the moment.
#[derive(Clone, Copy, Debug)]
enum Repeat {
    /// Doing it twice is as good as once.
    Freely,
    /// Only when it has certainly not been done.
    WithoutEffect,
}

/// What is asked, for errors and logs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'a> {
    /// The name of the query or resource.
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

/// An answer of status 200.
pub(crate) struct Answer {
    pub(crate) body: bytes::Bytes,
    /// GitLab's own clock when it answered.
    pub(crate) date: Option<Timestamp>,
    pub(crate) request_id: Option<String>,
}

impl Answer {
    /// The body as JSON.
    pub(crate) fn json<T: DeserializeOwned>(&self, subject: Subject<'_>) -> Result<T, GitlabError> {
        serde_json::from_slice(&self.body).map_err(|error| {
            let kind = GitlabErrorKind::Unexpected(error.to_string());
            subject.error(self.request_id.clone(), kind)
        })
    }
}

pub(crate) struct Http {
    client: reqwest::Client,
    base: Url,
    settings: GitlabSettings,
    token: RwLock<Secret>,
    running: Semaphore,
    rate_limit: RateLimit,
}

impl Http {
    pub(crate) fn new(settings: GitlabSettings) -> anyhow::Result<Self> {
        let token = Secret::read(&settings.token_file)
            .map_err(|error| error.context("cannot use --gitlab-token-file"))?;
        let mut builder = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            // A moved project is told by GitLab's answers; nothing else may redirect a token.
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("buildbtw/", env!("CARGO_PKG_VERSION")));
        if let Some(proxy) = &settings.proxy {
            let proxy = reqwest::Proxy::all(proxy.reveal())
                .map_err(|_| anyhow::anyhow!("--gitlab-proxy is not the URL of a proxy"))?;
            builder = builder.no_proxy().proxy(proxy);
        }
        if let Some(path) = &settings.ca {
            let pem = fs_err::read(path)?;
            let certificates = reqwest::Certificate::from_pem_bundle(&pem)
                .ok()
                .filter(|certificates| !certificates.is_empty())
                .ok_or_else(|| {
                    anyhow::anyhow!(
                        "--gitlab-ca: '{}' contains no PEM certificate",
                        path.display()
                    )
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
        })
    }

    pub(crate) fn settings(&self) -> &GitlabSettings {
        &self.settings
    }

    /// Sends a JSON body to a path below the address.
    pub(crate) async fn post(
        &self,
        subject: Subject<'_>,
        path: &str,
        body: &serde_json::Value,
        patience: Patience,
    ) -> Result<Answer, GitlabError> {
        self.send_json(subject, Method::POST, path, body, patience)
            .await
    }

    /// Sends a JSON body by another method, with which doing it twice is as good as once.
    pub(crate) async fn send_json(
        &self,
        subject: Subject<'_>,
        method: Method,
        path: &str,
        body: &serde_json::Value,
        patience: Patience,
    ) -> Result<Answer, GitlabError> {
        let url = self.url(path);
        let request = || self.client.request(method.clone(), url.clone()).json(body);
        self.send(subject, patience, Repeat::Freely, request).await
    }

    /// Gets a path below the address.
    pub(crate) async fn get(
        &self,
        subject: Subject<'_>,
        path: &str,
        patience: Patience,
    ) -> Result<Answer, GitlabError> {
        self.get_with(subject, path, &[], patience).await
    }

    /// The same with parameters.
    pub(crate) async fn get_with(
        &self,
        subject: Subject<'_>,
        path: &str,
        parameters: &[(&str, &str)],
        patience: Patience,
    ) -> Result<Answer, GitlabError> {
        let url = self.url(path);
        let request = || self.client.get(url.clone()).query(parameters);
        self.send(subject, patience, Repeat::Freely, request).await
    }

    /// Sends a request that changes something and must not be done twice: it is only repeated when
    /// it certainly had no effect.
    pub(crate) async fn act(
        &self,
        subject: Subject<'_>,
        method: Method,
        path: &str,
        body: &serde_json::Value,
        patience: Patience,
    ) -> Result<Answer, GitlabError> {
        let url = self.url(path);
        let request = || self.client.request(method.clone(), url.clone()).json(body);
        self.send(subject, patience, Repeat::WithoutEffect, request)
            .await
    }

    fn url(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        // GitLab may live below a path of its own.
        let full = format!("{}/{path}", url.path().trim_end_matches('/'));
        url.set_path(&full);
        url
    }

    /// Tries until it succeeds, fails for good, or the patience ends.
    async fn send(
        &self,
        subject: Subject<'_>,
        patience: Patience,
        repeat: Repeat,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<Answer, GitlabError> {
        let deadline = Instant::now() + patience.limit();
        let mut pauses = ExponentialBuilder::default()
            .with_min_delay(FIRST_PAUSE)
            .with_max_delay(LONGEST_PAUSE)
            .with_jitter()
            .without_max_times()
            .build();
        loop {
            let allowed = self.rate_limit.wait(deadline).await;
            allowed.map_err(|kind| subject.error(None, kind))?;
            let token = self.token();
            let request = request().timeout(patience.of_try(deadline));
            let error = match self.try_once(subject, request, &token).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            if matches!(error.kind, GitlabErrorKind::InvalidToken(_)) && self.has_other(&token) {
                continue;
            }
            let repeats = match repeat {
                Repeat::Freely => true,
                Repeat::WithoutEffect => error.kind.had_no_effect(),
            };
            if !error.kind.is_transient() || !repeats {
                return Err(error);
            }
            // A pause of nothing is asked for as well, and not meant so.
            let own = pauses.next().unwrap_or(LONGEST_PAUSE);
            let pause = match error.kind.pause() {
                Some(asked) => {
                    self.rate_limit.pause(asked);
                    asked.max(own)
                }
                None => own,
            };
            if Instant::now() + pause >= deadline {
                return Err(error);
            }
            tracing::debug!(
                gitlab.request = subject.request,
                error = error.to_string(),
                pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
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
    ) -> Result<Answer, GitlabError> {
        // Never closed.
        let _running = self.running.acquire().await.ok();
        let response = request
            .bearer_auth(token.reveal())
            .send()
            .await
            .map_err(|error| subject.error(None, connection_error(error)))?;
        let status = response.status();
        let headers = response.headers().clone();
        let request_id = text(&headers, "x-request-id").map(str::to_owned);
        let date = text(&headers, DATE.as_str()).and_then(http_date);
        self.rate_limit.note(&headers, date);
        let body = read(response)
            .await
            .map_err(|kind| subject.error(request_id.clone(), kind))?;
        if status.is_success() {
            return Ok(Answer {
                body,
                date,
                request_id,
            });
        }
        let kind = failure(status, &headers, date, &body);
        Err(subject.error(request_id, kind))
    }

    fn token(&self) -> Secret {
        let token = self.token.read().unwrap_or_else(PoisonError::into_inner);
        token.clone()
    }

    /// Whether there is another token than the refused one by now, in the file or read from it by another
    /// request already.
    fn has_other(&self, refused: &Secret) -> bool {
        let Ok(new) = Secret::read(&self.settings.token_file) else {
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
