//! Converts claimed builds to requests for the builder.

use buildbtw_builder::{BuildRequest, Limits};
use buildbtw_model::Packager;
use buildbtw_model::api::ClaimedBuild;

/// Returns the builder's request for a claimed build, with the packager and the limits of this machine.
pub(crate) fn build_request(
    claimed: &ClaimedBuild,
    packager: Option<&Packager>,
    limits: &Limits,
) -> BuildRequest {
    let mut request = BuildRequest::of_claimed(claimed);
    request.limits = Limits {
        time: request.limits.time,
        ..limits.clone()
    };
    if let Some(packager) = packager {
        request.packager = packager.clone();
    }
    request
}
