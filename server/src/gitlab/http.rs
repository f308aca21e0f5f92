//! Sends requests to GitLab: one client, tries again what may succeed later, and keeps the pauses
//! that GitLab asks for.

use std::sync::{Mutex, PoisonError, RwLock};
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use bytes::BytesMut;
use futures_util::StreamExt as _;
use jiff::Timestamp;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use reqwest::{RequestBuilder, StatusCode, Url};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::error::{GitlabError, GitlabErrorKind};
use super::settings::{GitlabSettings, Secret};

/// A query may take 30 s on GitLab's side; the answer may be large.
const TIMEOUT: Duration = Duration::from_secs(60);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A page of a hundred projects has a few hundred KiB; GitLab cuts a file at about 10 MB.
const MAX_ANSWER: usize = 64 << 20;
/// How many requests run at the same time.
const CONCURRENCY: usize = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(20);
/// How much of a body is shown in an error.
const SHOWN: usize = 300;

/// How long to go on trying.
#[derive(Clone, Copy, Debug)]
pub(super) enum Patience {
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

/// What is asked, for errors and logs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject<'a> {
    /// The name of the query or resource.
    pub(super) request: &'static str,
    /// The group or project.
    pub(super) about: &'a str,
}

/// An answer of status 200.
pub(super) struct Answer {
    pub(super) body: bytes::Bytes,
    /// GitLab's own clock when it answered.
    pub(super) date: Option<Timestamp>,
    pub(super) request_id: Option<String>,
}

pub(super) struct Http {
    client: reqwest::Client,
    base: Url,
    settings: GitlabSettings,
    token: RwLock<Secret>,
    running: Semaphore,
    /// Nothing is sent before.
    not_before: Mutex<Option<Instant>>,
}

impl Http {
    pub(super) fn new(settings: GitlabSettings) -> anyhow::Result<Self> {
        let token = Secret::read(&settings.token_file)
            .map_err(|error| error.context("--gitlab-token-file cannot be used"))?;
        let mut builder = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            // A moved project is told by GitLab's answers; nothing else may redirect a token.
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("buildbtw/", env!("CARGO_PKG_VERSION")));
        if let Some(proxy) = &settings.proxy {
            let proxy = reqwest::Proxy::all(proxy.reveal())
                .map_err(|_| anyhow::anyhow!("--gitlab-proxy is no address of a proxy"))?;
            builder = builder.no_proxy().proxy(proxy);
        }
        if let Some(path) = &settings.ca {
            let pem = fs_err::read(path)?;
            let certificates = reqwest::Certificate::from_pem_bundle(&pem)
                .ok()
                .filter(|certificates| !certificates.is_empty())
                .ok_or_else(|| {
                    anyhow::anyhow!("--gitlab-ca: {} holds no PEM certificate", path.display())
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
            not_before: Mutex::new(None),
        })
    }

    pub(super) fn settings(&self) -> &GitlabSettings {
        &self.settings
    }

    /// Sends a JSON body to a path below the address.
    pub(super) async fn post(
        &self,
        subject: Subject<'_>,
        path: &str,
        body: &serde_json::Value,
        patience: Patience,
    ) -> Result<Answer, GitlabError> {
        let url = self.url(path);
        self.send(subject, patience, || {
            self.client.post(url.clone()).json(body)
        })
        .await
    }

    /// Gets a path below the address.
    pub(super) async fn get(
        &self,
        subject: Subject<'_>,
        path: &str,
        patience: Patience,
    ) -> Result<Answer, GitlabError> {
        let url = self.url(path);
        self.send(subject, patience, || self.client.get(url.clone()))
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
            self.keep_pause(subject, deadline).await?;
            let token = self.token();
            let request = request().timeout(patience.of_try(deadline));
            let error = match self.try_once(subject, request, &token).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            if matches!(error.kind, GitlabErrorKind::InvalidToken(_)) && self.has_other(&token) {
                continue;
            }
            if !error.kind.is_transient() {
                return Err(error);
            }
            // A pause of nothing is asked for as well, and not meant so.
            let own = pauses.next().unwrap_or(LONGEST_PAUSE);
            let pause = match error.kind.pause() {
                Some(asked) => {
                    self.hold_until(Instant::now() + asked);
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
                "GitLab did not answer; trying again"
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
        let fail = |request_id: Option<String>, kind| GitlabError {
            request: subject.request,
            about: subject.about.to_owned(),
            request_id,
            kind,
        };
        let response = request
            .bearer_auth(token.reveal())
            .send()
            .await
            .map_err(|error| fail(None, connection_error(error)))?;
        let status = response.status();
        let headers = response.headers().clone();
        let request_id = text(&headers, "x-request-id").map(str::to_owned);
        let date = text(&headers, DATE.as_str()).and_then(http_date);
        self.mind_rate_limit(&headers, date);
        let body = read(response)
            .await
            .map_err(|kind| fail(request_id.clone(), kind))?;
        if status.is_success() {
            return Ok(Answer {
                body,
                date,
                request_id,
            });
        }
        let kind = failure(status, &headers, date, &body);
        Err(fail(request_id, kind))
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
        tracing::info!("GitLab refused the token; using the new one of the file");
        true
    }

    fn hold_until(&self, at: Instant) {
        let mut not_before = self
            .not_before
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *not_before = Some(not_before.map_or(at, |known| known.max(at)));
    }

    /// When nothing is left of what GitLab allows, waits before GitLab has to say so.
    fn mind_rate_limit(&self, headers: &HeaderMap, date: Option<Timestamp>) {
        if text(headers, "ratelimit-remaining") == Some("0")
            && let Some(pause) = rate_limit_reset(headers, date)
        {
            self.hold_until(Instant::now() + pause);
        }
    }

    async fn keep_pause(&self, subject: Subject<'_>, deadline: Instant) -> Result<(), GitlabError> {
        let until = *self
            .not_before
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match until {
            Some(until) if until >= deadline => Err(GitlabError {
                request: subject.request,
                about: subject.about.to_owned(),
                request_id: None,
                kind: GitlabErrorKind::Paused {
                    status: StatusCode::TOO_MANY_REQUESTS.as_u16(),
                    pause: Some(until.saturating_duration_since(Instant::now())),
                },
            }),
            Some(until) => {
                tokio::time::sleep_until(until).await;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

/// Reads a body that is not too large.
async fn read(response: reqwest::Response) -> Result<bytes::Bytes, GitlabErrorKind> {
    let mut body = BytesMut::new();
    let mut stream = response.bytes_stream();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(connection_error)?;
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err(GitlabErrorKind::TooLarge(MAX_ANSWER));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

fn connection_error(error: reqwest::Error) -> GitlabErrorKind {
    if error.is_timeout() && !error.is_connect() {
        return GitlabErrorKind::Timeout(TIMEOUT);
    }
    // The outermost one names the address, which is known, and the innermost one the cause.
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    GitlabErrorKind::Unreachable(cause.to_string())
}

fn failure(
    status: StatusCode,
    headers: &HeaderMap,
    date: Option<Timestamp>,
    body: &[u8],
) -> GitlabErrorKind {
    let answer: ErrorBody = serde_json::from_slice(body).unwrap_or_default();
    let message = answer.message().unwrap_or_else(|| beginning(body));
    match status.as_u16() {
        401 => GitlabErrorKind::InvalidToken(message),
        403 if answer.error.as_deref() == Some("insufficient_scope") => {
            let scope = answer.scope.unwrap_or_else(|| "read_api".to_owned());
            GitlabErrorKind::MissingScope {
                scope: scope.replace(' ', " or "),
            }
        }
        403 => GitlabErrorKind::Forbidden(message),
        status @ (429 | 502 | 503 | 504) => {
            let after = text(headers, RETRY_AFTER.as_str()).and_then(|text| {
                let seconds = text.parse().ok().map(Duration::from_secs);
                seconds.or_else(|| until(http_date(text)?, date))
            });
            // A GitLab that restarts is not away for as long as it may say.
            let longest = if status == 429 { MAX_PAUSE } else { MAX_REST };
            let reset = (status == 429).then(|| rate_limit_reset(headers, date));
            GitlabErrorKind::Paused {
                status,
                pause: after
                    .or_else(|| reset.flatten())
                    .map(|pause| pause.min(longest)),
            }
        }
        status => GitlabErrorKind::Status { status, message },
    }
}

/// Longer pauses are not believed.
const MAX_PAUSE: Duration = Duration::from_secs(3600);
/// Nor longer ones of a GitLab that is down.
const MAX_REST: Duration = Duration::from_secs(120);

fn rate_limit_reset(headers: &HeaderMap, date: Option<Timestamp>) -> Option<Duration> {
    let reset: i64 = text(headers, "ratelimit-reset")?.parse().ok()?;
    let reset = Timestamp::from_second(reset).ok()?;
    until(reset, date).map(|pause| pause.min(MAX_PAUSE))
}

/// The time until then by GitLab's own clock, or by ours if it does not tell.
fn until(then: Timestamp, date: Option<Timestamp>) -> Option<Duration> {
    let now = date.unwrap_or_else(Timestamp::now);
    let pause = then.duration_since(now);
    Duration::try_from(pause).ok()
}

fn http_date(text: &str) -> Option<Timestamp> {
    let parsed = jiff::fmt::rfc2822::parse(text).ok()?;
    Some(parsed.timestamp())
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Errors of REST, of OAuth and of GraphQL have three forms.
#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct ErrorBody {
    message: Option<serde_json::Value>,
    error: Option<String>,
    error_description: Option<String>,
    scope: Option<String>,
    errors: Vec<ErrorEntry>,
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct ErrorEntry {
    message: String,
}

impl ErrorBody {
    fn message(&self) -> Option<String> {
        let message = self.message.as_ref().map(|message| match message {
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        });
        message
            .or_else(|| self.error_description.clone())
            .or_else(|| self.errors.first().map(|error| error.message.clone()))
            .or_else(|| self.error.clone())
            .map(|message| shorten(&message))
    }
}

fn beginning(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    if text.starts_with('<') {
        return "a web page".to_owned();
    }
    shorten(text)
}

fn shorten(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    line.chars()
        .filter(|c| !c.is_control())
        .take(SHOWN)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| {
            let name = reqwest::header::HeaderName::from_static(name);
            (name, value.parse().unwrap())
        });
        pairs.collect()
    }

    #[test]
    fn pauses_are_read_in_every_form() {
        let date: Option<Timestamp> = http_date("Wed, 21 Oct 2026 07:28:00 GMT");
        assert!(date.is_some());
        for (name, value) in [
            ("retry-after", "30"),
            ("retry-after", "Wed, 21 Oct 2026 07:28:30 GMT"),
            ("ratelimit-reset", "1792567710"),
        ] {
            let kind = failure(
                StatusCode::TOO_MANY_REQUESTS,
                &headers(&[(name, value)]),
                date,
                b"Retry later",
            );
            assert_eq!(
                kind.pause(),
                Some(Duration::from_secs(30)),
                "{name}: {value}"
            );
        }
        let kind = failure(StatusCode::BAD_GATEWAY, &headers(&[]), None, b"<html>");
        assert!(kind.is_transient() && kind.pause().is_none());
    }

    #[test]
    fn errors_name_what_is_missing() {
        let body =
            br#"{"error":"insufficient_scope","error_description":"x","scope":"api read_api"}"#;
        let kind = failure(StatusCode::FORBIDDEN, &headers(&[]), None, body);
        assert!(kind.to_string().contains("scope api or read_api"), "{kind}");
        let body = br#"{"errors":[{"message":"Invalid token"}]}"#;
        let kind = failure(StatusCode::UNAUTHORIZED, &headers(&[]), None, body);
        assert!(kind.to_string().contains("Invalid token"), "{kind}");
        assert!(!kind.is_transient());
    }
}
