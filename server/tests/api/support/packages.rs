//! Tiny real packages to upload.

use std::path::Path;

use buildbtw_builder::{
    BuildOutcome, BuildRequest, Builder, BuiltPackage, ExpectedPackage, SimulatedConfig, Source,
};
use buildbtw_model::api::ClaimedBuild;
use tokio_util::sync::CancellationToken;

use super::parse;

/// Makes the packages that a claimed build asks for. Another `payload` gives other bytes under the
/// same names.
pub(crate) async fn make_packages(
    claimed: &ClaimedBuild,
    payload: usize,
    folder: &Path,
) -> Vec<BuiltPackage> {
    let mut request = BuildRequest::new(
        claimed.pkgbase.clone(),
        claimed.architecture.clone(),
        Source::Directory("/nowhere".into()),
    );
    request.version = Some(claimed.version.clone());
    request.packages = claimed
        .packages
        .iter()
        .map(|package| ExpectedPackage {
            name: package.name.clone(),
            architecture: package.architecture.clone(),
        })
        .collect();
    build(&request, payload, folder).await
}

/// Makes one package with properties of the test's choice.
pub(crate) async fn make_package(
    name: &str,
    version: &str,
    architecture: &str,
    folder: &Path,
) -> BuiltPackage {
    make_package_of(name, name, version, architecture, folder).await
}

/// Makes one package of a source package of the test's choice.
pub(crate) async fn make_package_of(
    pkgbase: &str,
    name: &str,
    version: &str,
    architecture: &str,
    folder: &Path,
) -> BuiltPackage {
    let nowhere = Source::Directory("/nowhere".into());
    let mut request = BuildRequest::new(parse(pkgbase), parse(architecture), nowhere);
    request.version = Some(parse(version));
    request.packages = vec![ExpectedPackage {
        name: parse(name),
        architecture: parse(architecture),
    }];
    build(&request, 0, folder).await.remove(0)
}

async fn build(request: &BuildRequest, payload: usize, folder: &Path) -> Vec<BuiltPackage> {
    let builder = Builder::simulated(SimulatedConfig {
        payload_bytes: payload,
        ..SimulatedConfig::default()
    });
    let silent = |_: &[u8]| {};
    let outcome = builder
        .build(request, folder, &silent, CancellationToken::new())
        .await;
    match outcome {
        BuildOutcome::Succeeded { packages, .. } => packages,
        failed => panic!("the simulated builder failed: {failed:?}"),
    }
}
