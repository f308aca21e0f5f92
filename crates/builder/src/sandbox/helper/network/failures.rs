//! The failures of the network for sources.

use std::fmt::Display;
use std::process::ExitStatus;

use buildbtw_model::FailureKind;

use crate::failure::Failure;

/// What the helper does when it configures the namespaces.
pub(super) const CONFIGURING: &str = "configuring the network for sources";

/// Returns the failure for a host that must not be reached, whose addresses are unknown.
pub(super) fn unresolved(host: impl Display) -> Failure {
    Failure::infrastructure(format!(
        "the network for sources could not be created: `{host}`, from which sources must not be \
         fetched, could not be resolved"
    ))
}

/// Returns the failure for a machine without pasta.
pub(super) fn no_pasta() -> Failure {
    Failure::infrastructure(
        "sources cannot be fetched: the program `pasta` is missing on this machine",
    )
    .hint("install the package passt, or build with network policy `none`")
}

/// Returns the failure for a pasta that exited before its interface existed.
pub(super) fn not_created(status: ExitStatus) -> Failure {
    Failure::infrastructure(format!(
        "the network for sources could not be created (pasta: {status})"
    ))
    .see_log()
}

/// Turns the failure of a command into an infrastructure failure, because pasta exited meanwhile.
pub(super) fn ended(status: ExitStatus, failure: Failure) -> Failure {
    Failure {
        kind: FailureKind::Infrastructure,
        message: format!(
            "the network for sources failed (pasta: {status}); {}",
            failure.message
        ),
        ..failure
    }
}

/// Returns the failure for a namespace that could not be configured.
pub(super) fn not_configured(status: ExitStatus) -> Failure {
    Failure::infrastructure(format!("{CONFIGURING} failed ({status})")).see_log()
}

/// Returns the failure for a machine whose addresses and routes cannot be listed.
pub(super) fn not_listed() -> Failure {
    Failure::infrastructure("`ip` could not list this machine's addresses and routes").see_log()
}

/// Returns the failure for a machine without the program `ip`.
pub(super) fn no_ip(error: impl Display) -> Failure {
    Failure::infrastructure(format!("starting `ip`: {error}")).hint("install the package iproute2")
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    #[test]
    fn failures_match_snapshot() {
        let exited = ExitStatus::from_raw(1 << 8);
        let killed = ExitStatus::from_raw(9);
        let fetching = Failure::package("the source https://example.org/x could not be fetched");
        let text = crate::failure::recorded([
            (
                "unknown address of the server",
                unresolved("build.example.org"),
            ),
            ("no pasta", no_pasta()),
            ("pasta that does not start", not_created(exited)),
            ("pasta that was killed", ended(killed, fetching)),
            ("namespace without routes", not_configured(exited)),
            ("unknown addresses of this machine", not_listed()),
            ("no ip", no_ip("No such file or directory (os error 2)")),
        ]);
        insta::assert_snapshot!(text);
    }
}
