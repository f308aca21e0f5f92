//! The typed client of the HTTP API. All programs that call the server use it.

mod activity;
mod attempts;
mod authorities;
mod builds;
mod error;
mod events;
mod health;
mod namespaces;
mod outages;
mod retry;
mod sources;
mod tokens;
mod workers;

use std::time::Duration;

use reqwest::{Method, RequestBuilder, Response, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::api::Page;
use crate::{
    API_VERSION_HEADER, ApiVersions, AttemptId, TraceParent, hide_user_info, innermost, saturating,
};

pub use activity::ActivityQuery;
pub use authorities::Authorities;
pub use builds::BuildQuery;
pub use error::{ClientError, ConnectionProblem};
pub use events::{EventFilter, EventStream};
pub use health::Probe;
pub use retry::{Backoff, retry};
pub use sources::SourceQuery;

/// The timeout for connecting to the server.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The timeout of an ordinary request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// The read timeout of a streamed response. The server sends keep-alive comments more often.
const STREAM_READ_TIMEOUT: Duration = Duration::from_secs(90);

/// The number of entries per page when all are wanted; the server allows no more.
const LARGE_PAGE: u32 = 1000;

/// A client of one server, with the token to use there. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    /// Without a read timeout, for requests that take long to send.
    upload_http: reqwest::Client,
    base: Url,
    /// The address for messages.
    shown: String,
    token: Option<Token>,
}

/// The text of a token, which is never printed.
#[derive(Clone)]
struct Token(String);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[hidden]")
    }
}

fn is_token(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

impl Client {
    /// Creates a client of the server at `server` (`http://host:port`; a path is prepended to `/api`).
    ///
    /// # Errors
    /// Fails when `server` is not an HTTP URL, or TLS cannot be set up.
    pub fn new(server: &str, token: Option<String>) -> Result<Self, ClientError> {
        Self::trusting(server, token, &Authorities::default())
    }

    /// Creates a client that trusts these certificate authorities too.
    ///
    /// # Errors
    /// As [`Client::new`].
    pub fn trusting(
        server: &str,
        token: Option<String>,
        authorities: &Authorities,
    ) -> Result<Self, ClientError> {
        let invalid = |reason: String| ClientError::InvalidServer {
            server: server.into(),
            reason,
        };
        let expected = || invalid("expected http://host:port or https://host".into());
        let base = Url::parse(server).map_err(|_| expected())?;
        if !matches!(base.scheme(), "http" | "https") || base.host_str().is_none() {
            return Err(expected());
        }
        if base.query().is_some() || base.fragment().is_some() {
            return Err(invalid("it must not have a query or a fragment".into()));
        }
        if token.as_deref().is_some_and(|token| !is_token(token)) {
            return Err(ClientError::InvalidToken);
        }
        let builder = || {
            reqwest::Client::builder()
                .user_agent(concat!("buildbtw/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(CONNECT_TIMEOUT)
                .tls_certs_merge(authorities.0.iter().cloned())
        };
        let build = |builder: reqwest::ClientBuilder| {
            builder.build().map_err(|error| ClientError::Tls {
                reason: innermost(&error).to_string(),
            })
        };
        Ok(Self {
            http: build(builder().read_timeout(STREAM_READ_TIMEOUT))?,
            upload_http: build(builder())?,
            shown: hide_user_info(base.as_str().trim_end_matches('/')).into_owned(),
            base,
            token: token.map(Token),
        })
    }

    /// Returns a client of the same server with another token.
    ///
    /// # Errors
    /// Fails when the token is malformed.
    pub fn with_token(mut self, token: String) -> Result<Self, ClientError> {
        if !is_token(&token) {
            return Err(ClientError::InvalidToken);
        }
        self.token = Some(Token(token));
        Ok(self)
    }

    /// Returns the server's address for messages, which do not show its user and password.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.shown
    }

    /// Returns the server's address for requests of other programs.
    #[must_use]
    pub fn url(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// Creates a request for `/api/v1/<segments>`. Every segment is escaped.
    fn request(&self, method: Method, segments: &[&str]) -> RequestBuilder {
        self.request_with(&self.http, method, segments)
    }

    /// Creates a builder's request about an attempt, as a part of its trace.
    fn attempt_request(
        &self,
        method: Method,
        attempt: AttemptId,
        segments: &[&str],
    ) -> RequestBuilder {
        self.traced_request(&self.http, method, attempt, segments)
    }

    /// Creates such a request that takes long to send; its caller sets the timeout.
    fn upload_request(
        &self,
        method: Method,
        attempt: AttemptId,
        segments: &[&str],
    ) -> RequestBuilder {
        self.traced_request(&self.upload_http, method, attempt, segments)
    }

    fn traced_request(
        &self,
        http: &reqwest::Client,
        method: Method,
        attempt: AttemptId,
        segments: &[&str],
    ) -> RequestBuilder {
        let id = attempt.to_string();
        let segments = [&["attempts", &id], segments].concat();
        let request = self.request_with(http, method, &segments);
        request.header(TraceParent::HEADER, TraceParent::of(attempt).to_string())
    }

    fn request_with(
        &self,
        http: &reqwest::Client,
        method: Method,
        segments: &[&str],
    ) -> RequestBuilder {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["api", "v1"]).extend(segments);
        }
        let versions = ApiVersions::OF_CLIENT.to_string();
        let request = http.request(method, url);
        let request = request.header(API_VERSION_HEADER, versions);
        match &self.token {
            Some(Token(token)) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Sends a request and returns every unsuccessful response as an error.
    async fn send(&self, request: RequestBuilder) -> Result<Response, ClientError> {
        let response = request
            .send()
            .await
            .map_err(|source| ClientError::connection(self.server(), &source))?;
        if response.status().is_success() {
            Ok(response)
        } else {
            Err(ClientError::from_response(response).await)
        }
    }

    /// Sends an ordinary request and parses the JSON of its response.
    async fn json<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, ClientError> {
        let response = self.send(request.timeout(REQUEST_TIMEOUT)).await?;
        self.decode(response).await
    }

    /// Requests all pages of a list.
    async fn all_pages<T: DeserializeOwned>(
        &self,
        segments: &[&str],
    ) -> Result<Vec<T>, ClientError> {
        self.entries(segments, &(), None).await
    }

    /// Requests the entries of a list that match a query: all of them, or the first `most`.
    async fn entries<T: DeserializeOwned>(
        &self,
        segments: &[&str],
        query: &(impl Serialize + ?Sized),
        most: Option<u32>,
    ) -> Result<Vec<T>, ClientError> {
        let mut items = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let missing = most.map(|most| most.saturating_sub(saturating(items.len())));
            let limit = missing.unwrap_or(LARGE_PAGE).min(LARGE_PAGE);
            if limit == 0 {
                return Ok(items);
            }
            let mut request = self
                .request(Method::GET, segments)
                .query(query)
                .query(&[("limit", limit)]);
            if let Some(cursor) = &cursor {
                request = request.query(&[("cursor", cursor)]);
            }
            let page: Page<T> = self.json(request).await?;
            items.extend(page.items);
            cursor = page.next;
            if cursor.is_none() {
                return Ok(items);
            }
        }
    }

    async fn decode<T: DeserializeOwned>(&self, response: Response) -> Result<T, ClientError> {
        let url = response.url().path().to_owned();
        let body = response
            .bytes()
            .await
            .map_err(|source| ClientError::connection(self.server(), &source))?;
        serde_json::from_slice(&body)
            .map_err(|source| ClientError::UnexpectedResponse { url, source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sends_requests_below_the_path_of_the_server() {
        for (server, url) in [
            ("http://x", "http://x/api/v1/builds/1"),
            ("http://x/", "http://x/api/v1/builds/1"),
            ("https://x/tools/btw", "https://x/tools/btw/api/v1/builds/1"),
            (
                "https://x/tools/btw/",
                "https://x/tools/btw/api/v1/builds/1",
            ),
        ] {
            let client = Client::new(server, None).unwrap();
            let request = client.request(Method::GET, &["builds", "1"]);
            assert_eq!(request.build().unwrap().url().as_str(), url);
            assert_eq!(client.server(), server.trim_end_matches('/'));
        }
    }

    #[test]
    fn shows_no_user_and_password() {
        let client = Client::new("http://u:s3cret@x/below/", None).unwrap();
        assert_eq!(client.server(), "http://(hidden)@x/below");
        assert_eq!(client.url(), "http://u:s3cret@x/below");
        let request = client.request(Method::GET, &["builds"]).build().unwrap();
        assert!(request.headers().contains_key("authorization"));
        for invalid in ["http://u:s3cret@x/?a=b", "u:s3cret@x", "http://u:s3/cret@x"] {
            let error = Client::new(invalid, None).unwrap_err().to_string();
            assert!(
                error.contains("(hidden)@x") && !error.contains("s3"),
                "{error}"
            );
        }
        let error = ClientError::Connection {
            server: "http://u:s3cret@x".to_owned(),
            reason: "refused".to_owned(),
            problem: ConnectionProblem::Network,
        };
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }

    #[test]
    fn names_the_trace_of_an_attempt_in_its_requests() {
        let client = Client::new("http://x/below", None).unwrap();
        let attempt: AttemptId = "0193f7a0-1c2d-7e3f-8a4b-5c6d7e8f9a0b".parse().unwrap();
        let request = client.attempt_request(Method::POST, attempt, &["log"]);
        let request = request.build().unwrap();
        let path = format!("/below/api/v1/attempts/{attempt}/log");
        assert_eq!(request.url().path(), path);
        let parent = TraceParent::of(attempt).to_string();
        assert_eq!(request.headers()["traceparent"], parent.as_str());
    }

    #[test]
    fn rejects_addresses_with_more_than_a_path() {
        for server in ["http://x/?a=b", "http://x/#a", "ftp://x", "x"] {
            assert!(Client::new(server, None).is_err(), "{server}");
        }
    }
}
