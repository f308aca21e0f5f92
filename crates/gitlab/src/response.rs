//! Reads responses: bodies, and for failed requests the error and the requested pause.

use std::time::Duration;

use buildbtw_model::innermost;
use bytes::BytesMut;
use futures_util::StreamExt as _;
use jiff::Timestamp;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};

use crate::error::GitlabErrorKind;

/// A page of a hundred projects has a few hundred KiB; GitLab truncates a file at about 10 MB.
const MAX_RESPONSE: usize = 64 << 20;
/// The longest pause that is respected after a 429.
const MAX_PAUSE: Duration = Duration::from_secs(3600);
/// The longest pause that is respected after a 502, 503 or 504.
const MAX_OUTAGE_PAUSE: Duration = Duration::from_secs(120);
/// How many characters of a body an error shows.
const SHOWN: usize = 300;

/// Returns the error that an unsuccessful response stands for.
pub(crate) fn error_kind(
    status: StatusCode,
    headers: &HeaderMap,
    date: Option<Timestamp>,
    body: &[u8],
) -> GitlabErrorKind {
    let response: ErrorBody = serde_json::from_slice(body).unwrap_or_default();
    let message = response.message().unwrap_or_else(|| excerpt(body));
    match status.as_u16() {
        401 => GitlabErrorKind::InvalidToken(message),
        403 if response.error.as_deref() == Some("insufficient_scope") => {
            let scope = response.scope.unwrap_or_else(|| "read_api".to_owned());
            GitlabErrorKind::MissingScope {
                scope: scope.replace(' ', " or "),
            }
        }
        403 => GitlabErrorKind::Forbidden(message),
        status @ (429 | 502 | 503 | 504) => {
            let after = header_text(headers, RETRY_AFTER.as_str()).and_then(|text| {
                let seconds = text.parse().ok().map(Duration::from_secs);
                seconds.or_else(|| until(http_date(text)?, date))
            });
            // A restarting GitLab is often back earlier than it announces.
            let longest = if status == 429 {
                MAX_PAUSE
            } else {
                MAX_OUTAGE_PAUSE
            };
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

/// Reads a body of at most [`MAX_RESPONSE`] bytes.
pub(crate) async fn read_body(
    response: reqwest::Response,
) -> Result<bytes::Bytes, GitlabErrorKind> {
    let mut body = BytesMut::new();
    let mut stream = response.bytes_stream();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(connection_error)?;
        if body.len() + chunk.len() > MAX_RESPONSE {
            return Err(GitlabErrorKind::TooLarge(MAX_RESPONSE));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// Converts an error of sending a request or of reading its response.
pub(crate) fn connection_error(error: reqwest::Error) -> GitlabErrorKind {
    let connected = !error.is_connect();
    if error.is_timeout() && connected {
        return GitlabErrorKind::Timeout;
    }
    let error = error.without_url();
    let cause = innermost(&error);
    if connected {
        GitlabErrorKind::Interrupted(cause.to_string())
    } else {
        GitlabErrorKind::Unreachable(cause.to_string())
    }
}

/// Returns the time until GitLab's rate limit is reset.
pub(crate) fn rate_limit_reset(headers: &HeaderMap, date: Option<Timestamp>) -> Option<Duration> {
    let reset: i64 = header_text(headers, "ratelimit-reset")?.parse().ok()?;
    let reset = Timestamp::from_second(reset).ok()?;
    until(reset, date).map(|pause| pause.min(MAX_PAUSE))
}

/// Returns the time until `then` by GitLab's clock, or by ours if the response has no date.
fn until(then: Timestamp, date: Option<Timestamp>) -> Option<Duration> {
    let now = date.unwrap_or_else(Timestamp::now);
    let pause = then.duration_since(now);
    Duration::try_from(pause).ok()
}

/// Parses an HTTP date (RFC 9110, section 5.6.7).
pub(crate) fn http_date(text: &str) -> Option<Timestamp> {
    let parsed = jiff::fmt::rfc2822::parse(text).ok()?;
    Some(parsed.timestamp())
}

/// Returns a header as text.
pub(crate) fn header_text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The error bodies of REST, OAuth and GraphQL together.
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

fn excerpt(body: &[u8]) -> String {
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
    fn parses_retry_after_in_every_form() {
        let date: Option<Timestamp> = http_date("Wed, 21 Oct 2026 07:28:00 GMT");
        assert!(date.is_some());
        for (name, value) in [
            ("retry-after", "30"),
            ("retry-after", "Wed, 21 Oct 2026 07:28:30 GMT"),
            ("ratelimit-reset", "1792567710"),
        ] {
            let kind = error_kind(
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
        let kind = error_kind(StatusCode::BAD_GATEWAY, &headers(&[]), None, b"<html>");
        assert!(kind.is_transient() && kind.pause().is_none());
    }

    #[test]
    fn names_missing_scope_in_errors() {
        let body =
            br#"{"error":"insufficient_scope","error_description":"x","scope":"api read_api"}"#;
        let kind = error_kind(StatusCode::FORBIDDEN, &headers(&[]), None, body);
        assert!(kind.to_string().contains("scope api or read_api"), "{kind}");
        let body = br#"{"errors":[{"message":"Invalid token"}]}"#;
        let kind = error_kind(StatusCode::UNAUTHORIZED, &headers(&[]), None, body);
        assert!(kind.to_string().contains("Invalid token"), "{kind}");
        assert!(!kind.is_transient());
    }
}
