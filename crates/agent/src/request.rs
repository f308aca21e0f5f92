//! Converts claimed builds to requests for the builder.

use std::time::Duration;

use buildbtw_builder::{BuildRequest, Limits, Source};
use buildbtw_model::api::ClaimedBuild;
use buildbtw_model::{Packager, RepositoryName};

/// Returns the builder's request for a claimed build.
pub(crate) fn build_request(
    claimed: &ClaimedBuild,
    packager: Option<&Packager>,
    limits: &Limits,
) -> BuildRequest {
    let source = Source::Git {
        url: claimed.source.clone_url.clone(),
        commit: claimed.source.commit.clone(),
    };
    let mut request = BuildRequest::new(
        claimed.pkgbase.clone(),
        claimed.architecture.clone(),
        source,
    );
    request.attempt = claimed.attempt;
    request.pkgrel.clone_from(&claimed.pkgrel);
    request.version = Some(claimed.version.clone());
    request.release.clone_from(&claimed.release);
    request.packages.clone_from(&claimed.packages);
    request.dependencies.clone_from(&claimed.dependencies);
    request.sources.clone_from(&claimed.sources);
    request.network = claimed.network;
    request.missing_keys = claimed.missing_keys;
    request.repositories.clone_from(&claimed.repositories);
    request.namespace_repository = Some(RepositoryName::from(&claimed.namespace));
    request.limits.clone_from(limits);
    request.limits.time = Duration::from_secs(claimed.timeout_s.into());
    // Packages cannot have dates before 1970.
    request.source_date_epoch = claimed.source_date_epoch.source_date_epoch();
    request.packager = packager.unwrap_or(&claimed.packager).clone();
    request.build_tool = claimed.build_tool.clone();
    request.bootstrap = claimed.bootstrap;
    request
}
