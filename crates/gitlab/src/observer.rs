//! Observation of requests, for metrics.

use std::time::Duration;

use reqwest::header::HeaderMap;

use crate::response::header_text;

/// Observes the requests of a client.
pub trait RequestObserver: Send + Sync {
    /// Records that a request was sent. `route` names what it asks for; there is no status without a response.
    fn sent(&self, route: &'static str, status: Option<u16>, took: Duration);

    /// Records the state of the rate limit that a response had.
    fn rate_limit(&self, state: RateLimitState);
}

/// The state of GitLab's rate limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimitState {
    /// The number of requests per period, if the response has it.
    pub limit: Option<u64>,
    /// How many of them are left.
    pub remaining: u64,
}

impl RateLimitState {
    /// Reads the headers of a response. GitLab sends none where no limit is configured.
    pub(crate) fn read(headers: &HeaderMap) -> Option<Self> {
        let number = |name| header_text(headers, name)?.parse().ok();
        Some(Self {
            limit: number("ratelimit-limit"),
            remaining: number("ratelimit-remaining")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_rate_limit_from_headers() {
        let headers = |pairs: &[(&'static str, &'static str)]| {
            let pairs = pairs.iter().map(|(name, value)| {
                (
                    reqwest::header::HeaderName::from_static(name),
                    reqwest::header::HeaderValue::from_static(value),
                )
            });
            HeaderMap::from_iter(pairs)
        };
        let both = headers(&[("ratelimit-limit", "600"), ("ratelimit-remaining", "7")]);
        let expected = RateLimitState {
            limit: Some(600),
            remaining: 7,
        };
        assert_eq!(RateLimitState::read(&both), Some(expected));
        assert_eq!(
            RateLimitState::read(&headers(&[("ratelimit-limit", "600")])),
            None
        );
        assert_eq!(
            RateLimitState::read(&headers(&[("ratelimit-remaining", "many")])),
            None
        );
    }
}
