//! Whether two machines agree about the time.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::Check;

/// Above this, times in logs and pages mislead.
const WARNING: SignedDuration = SignedDuration::from_secs(5);
/// Above this, ID tokens and signatures are rejected.
const FAILURE: SignedDuration = SignedDuration::from_secs(60);
/// Dates of responses are cut to whole seconds; this is their middle.
const HALF_A_SECOND: SignedDuration = SignedDuration::from_millis(500);

/// A reading of another machine's clock.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// The date of the response, in whole seconds.
    pub theirs: Timestamp,
    /// This machine's time when the response arrived.
    pub ours: Timestamp,
    /// How long the request took.
    pub took: Duration,
}

/// Compares this machine's clock with that of `other`, for example `the server`.
#[must_use]
pub fn check(name: &str, other: &str, reading: Reading) -> Check {
    let took = SignedDuration::try_from(reading.took).unwrap_or_default();
    let half = took / 2;
    let sent_and_received = reading.ours - half;
    let apart = sent_and_received.duration_since(reading.theirs) - HALF_A_SECOND;
    // The other machine may have read its clock at any time between request and response.
    let surely = apart.abs().saturating_sub(half).max(SignedDuration::ZERO);
    if surely <= WARNING {
        return Check::ok(name, format!("agrees with that of {other}"));
    }
    let direction = if apart.is_negative() {
        "behind"
    } else {
        "ahead of"
    };
    let message = format!(
        "this machine's clock is {} s {direction} that of {other}",
        surely.as_secs()
    );
    let repair = "run `timedatectl set-ntp true` on the machine whose clock is wrong";
    if surely <= FAILURE {
        Check::warning(name, message, repair)
    } else {
        let message = format!("{message}, so tokens and signatures with a time are rejected");
        Check::failure(name, message, repair)
    }
}

/// Returns the check for a response without a date.
#[must_use]
pub fn unknown(name: &str, other: &str) -> Check {
    Check::skipped(name, format!("the response of {other} has no date"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Status;

    fn at(offset_ms: i64, took_ms: u64) -> Check {
        let theirs: Timestamp = "2026-10-21T07:28:00Z".parse().unwrap();
        let reading = Reading {
            theirs,
            ours: theirs + SignedDuration::from_millis(offset_ms),
            took: Duration::from_millis(took_ms),
        };
        check("clock", "the server", reading)
    }

    #[test]
    fn judges_distance_of_clocks() {
        for (offset_ms, status) in [
            (0, Status::Ok),
            (999, Status::Ok),
            (5_400, Status::Ok),
            (-4_400, Status::Ok),
            (6_000, Status::Warning),
            (-6_000, Status::Warning),
            (60_000, Status::Warning),
            (62_000, Status::Failure),
            (-62_000, Status::Failure),
        ] {
            assert_eq!(at(offset_ms, 0).status, status, "{offset_ms}");
        }
        let behind = at(-90_500, 0);
        let expected = "this machine's clock is 91 s behind that of the server";
        assert!(behind.message.starts_with(expected), "{behind:?}");
        assert!(behind.repair.unwrap().contains("timedatectl"));
    }

    #[test]
    fn accepts_distance_that_a_slow_response_explains() {
        assert_eq!(at(9_000, 9_000).status, Status::Ok);
        assert_eq!(at(9_000, 100).status, Status::Warning);
    }
}
