//! The failure of a PKGBUILD that bash rejects.

use crate::failure::Failure;

/// Returns the failure of a PKGBUILD that cannot be read. `why` is bash's message, or names the step.
pub(super) fn unreadable_pkgbuild(why: &str) -> Failure {
    Failure::package(format!("the PKGBUILD could not be read: {why}"))
}
