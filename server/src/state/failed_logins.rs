//! Counts failed logins per address, to slow down clients that guess tokens or retry an invalid one in a
//! loop. Valid tokens are never delayed.

use std::net::IpAddr;
use std::time::Duration;

use crate::admission::RateLimit;

/// How many invalid tokens an address may send per minute.
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
    /// Counts a failure. Returns how long to wait if the limit is exceeded.
    pub(crate) fn record(&self, address: IpAddr) -> Option<Duration> {
        self.0.record(address)
    }

    /// Returns whether the address has reached its limit.
    pub(crate) fn too_many(&self, address: IpAddr) -> bool {
        self.0.is_exhausted(address)
    }
}
