//! The rate limit of users.

use std::collections::HashMap;
use std::sync::Mutex;

use jiff::Timestamp;

use crate::clock::http_date;
use crate::lock;

/// A number of requests in a number of seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// The number of requests.
    pub requests: u64,
    /// The period in seconds.
    pub seconds: i64,
}

#[derive(Debug, Default)]
pub(crate) struct Limits(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    limit: Option<RateLimit>,
    /// By token, empty without one: the current period, and the number of requests in it.
    observed: HashMap<String, (i64, u64)>,
}

/// The state of a user's rate limit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing {
    limit: RateLimit,
    observed: u64,
    reset: i64,
    now: Timestamp,
}

impl Limits {
    pub(crate) fn set(&self, limit: Option<RateLimit>) {
        *lock(&self.0) = Inner {
            limit,
            observed: HashMap::new(),
        };
    }

    /// Counts a request.
    pub(crate) fn count(&self, who: &str, now: Timestamp) -> Option<Standing> {
        let mut inner = lock(&self.0);
        let limit = inner.limit?;
        let seconds = limit.seconds.max(1);
        let period = now.as_second().div_euclid(seconds);
        let entry = inner.observed.entry(who.to_owned()).or_default();
        if entry.0 != period {
            *entry = (period, 0);
        }
        entry.1 += 1;
        Some(Standing {
            limit,
            observed: entry.1,
            reset: (period + 1) * seconds,
            now,
        })
    }
}

impl Standing {
    /// Returns the response to a user who has exceeded the limit.
    pub(crate) fn exceeded(now: Timestamp, retry_after: u64) -> Self {
        let limit = RateLimit {
            requests: 7_200,
            seconds: 3_600,
        };
        Self {
            limit,
            observed: limit.requests + 1,
            reset: now.as_second() + i64::try_from(retry_after).unwrap_or(i64::MAX / 2),
            now,
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.observed > self.limit.requests
    }

    pub(crate) fn headers(&self) -> Vec<(String, String)> {
        let remaining = self.limit.requests.saturating_sub(self.observed);
        let mut headers = vec![
            ("RateLimit-Limit", self.limit.requests.to_string()),
            ("RateLimit-Name", "throttle_authenticated_api".to_owned()),
            ("RateLimit-Observed", self.observed.to_string()),
            ("RateLimit-Remaining", remaining.to_string()),
            ("RateLimit-Reset", self.reset.to_string()),
        ];
        if self.is_over() {
            let wait = (self.reset - self.now.as_second()).max(0);
            headers.push(("Retry-After", wait.to_string()));
            if let Ok(reset) = Timestamp::from_second(self.reset) {
                headers.push(("RateLimit-ResetTime", http_date(reset)));
            }
        }
        headers
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }
}
