//! `/healthz` and `/readyz`, which are not below `/api`.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use reqwest::header::{DATE, HeaderMap};
use reqwest::{Method, StatusCode};

use super::error::ClientError;
use super::{Client, REQUEST_TIMEOUT};
use crate::api::ReadyResponse;

/// A response of a server that was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The server's clock, in whole seconds, if the response has a date.
    pub date: Option<Timestamp>,
    /// How long the response took.
    pub took: Duration,
}

impl Client {
    /// Sends a request that any server answers, without the token.
    ///
    /// # Errors
    /// Fails when the server cannot be reached, or responds with an error.
    pub async fn probe(&self) -> Result<Probe, ClientError> {
        let began = Instant::now();
        let response = self.send(self.request_at_root("healthz")).await?;
        Ok(Probe {
            date: date(response.headers()),
            took: began.elapsed(),
        })
    }

    /// Returns whether the server can do its work, also if it cannot.
    ///
    /// # Errors
    /// Fails when the server cannot be reached, or its response is not that of a buildbtw-server.
    pub async fn readiness(&self) -> Result<ReadyResponse, ClientError> {
        let request = self.request_at_root("readyz");
        let response = request
            .send()
            .await
            .map_err(|source| ClientError::connection(self.server(), &source))?;
        match response.status() {
            // The checks that failed are in the body.
            StatusCode::OK | StatusCode::SERVICE_UNAVAILABLE => self.decode(response).await,
            _ => Err(ClientError::from_response(response).await),
        }
    }

    fn request_at_root(&self, name: &str) -> reqwest::RequestBuilder {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().push(name);
        }
        self.http.request(Method::GET, url).timeout(REQUEST_TIMEOUT)
    }
}

/// Parses an HTTP date (RFC 9110, section 5.6.7).
fn date(headers: &HeaderMap) -> Option<Timestamp> {
    let text = headers.get(DATE)?.to_str().ok()?;
    Some(jiff::fmt::rfc2822::parse(text).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sends_probes_below_the_path_of_the_server() {
        for (server, url) in [
            ("http://x", "http://x/healthz"),
            ("https://x/tools/btw/", "https://x/tools/btw/healthz"),
        ] {
            let client = Client::new(server, Some("secret".into())).unwrap();
            let request = client.request_at_root("healthz").build().unwrap();
            assert_eq!(request.url().as_str(), url);
            assert!(request.headers().is_empty());
        }
    }

    #[test]
    fn reads_date_of_a_response() {
        let mut headers = HeaderMap::new();
        assert_eq!(date(&headers), None);
        headers.insert(DATE, "Wed, 21 Oct 2026 07:28:00 GMT".parse().unwrap());
        assert_eq!(date(&headers).unwrap().as_second(), 1_792_567_680);
        headers.insert(DATE, "yesterday".parse().unwrap());
        assert_eq!(date(&headers), None);
    }
}
