//! Counts failed logins per address, so that whoever tries tokens, or has a wrong one in a loop,
//! is told to slow down. Valid tokens are never held up.

use std::net::IpAddr;
use std::time::Duration;

use crate::admission::RateLimit;

/// How many wrong tokens an address may send in a minute.
const ALLOWED: u32 = 20;

/// The failures of the last minute.
#[derive(Clone, Debug)]
pub struct FailedLogins(RateLimit);

impl Default for FailedLogins {
    fn default() -> Self {
        Self(RateLimit::per_minute(ALLOWED))
    }
}

impl FailedLogins {
    /// Notes a failure. Returns how long to wait if there were too many.
    pub(crate) fn record(&self, address: IpAddr) -> Option<Duration> {
        self.0.record(address)
    }

    /// Whether there were too many lately.
    pub(crate) fn too_many(&self, address: IpAddr) -> bool {
        self.0.is_exhausted(address)
    }
}
