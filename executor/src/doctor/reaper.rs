//! The timer that removes what killed jobs left.

use buildbtw_doctor::{Check, systemd};

const NAME: &str = "reaper";
const TIMER: &str = "buildbtw-executor-reap.timer";

/// Checks that the timer is active.
pub(super) async fn check() -> Check {
    match systemd::is_active(TIMER).await {
        Some(is_active) => judge(is_active),
        None => no_systemd(),
    }
}

/// Returns that the timer cannot exist.
pub(super) fn no_systemd() -> Check {
    let message = "this host has no systemd; run `buildbtw-executor reap` every few minutes";
    Check::skipped(NAME, message)
}

/// Judges the state of the timer.
pub(super) fn judge(is_active: bool) -> Check {
    if is_active {
        return Check::ok(NAME, format!("{TIMER} is active"));
    }
    Check::warning(
        NAME,
        format!("{TIMER} is not active, so what killed jobs leave stays until the next job"),
        format!("systemctl enable --now {TIMER}"),
    )
}

#[cfg(test)]
mod tests {
    use buildbtw_doctor::Status;

    use super::*;

    #[test]
    fn names_command_that_enables_the_timer() {
        assert_eq!(judge(true).status, Status::Ok);
        let inactive = judge(false);
        assert_eq!(inactive.status, Status::Warning);
        let command = "systemctl enable --now buildbtw-executor-reap.timer";
        assert_eq!(inactive.repair.as_deref(), Some(command));
    }
}
