//! The failures of builds that are stopped from outside.

use std::time::Duration;

use buildbtw_model::FailureKind;

use crate::failure::Failure;

/// Returns the failure of a cancelled build.
pub(crate) fn cancelled() -> Failure {
    Failure::new(FailureKind::Cancelled, "the build was cancelled")
}

/// Returns the failure of a build that exceeded its time limit.
pub(crate) fn too_long(limit: Duration) -> Failure {
    let text = format!(
        "the build took longer than its limit of {} s",
        limit.as_secs()
    );
    Failure::new(FailureKind::Timeout, text)
}

/// Returns the failure of a build that wrote nothing to its log for this long.
pub(crate) fn silent(limit: Duration) -> Failure {
    let text = format!(
        "the build wrote nothing for {} s, its silence limit",
        limit.as_secs()
    );
    Failure::new(FailureKind::Timeout, text)
        .hint("let the build print its progress, or fix what it waits for")
}

/// Returns the failure of a build whose log has more bytes than this.
pub(crate) fn log_too_large(limit: u64) -> Failure {
    Failure::package(format!("the log is larger than its limit of {limit} bytes"))
        .hint("let the build print less")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_match_snapshot() {
        let text = crate::failure::recorded([
            ("cancellation", cancelled()),
            ("time limit", too_long(Duration::from_secs(7_200))),
            ("silence limit", silent(Duration::from_secs(1_800))),
            ("log limit", log_too_large(64 << 20)),
        ]);
        insta::assert_snapshot!(text);
    }
}
