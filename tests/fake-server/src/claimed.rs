//! A build to claim.

use buildbtw_model::api::{ClaimedBuild, ExpectedPackage, SourceLocation};
use buildbtw_model::{AttemptId, BuildId, BuildTool, CommitTime, Packager};

/// Returns a build with a package of the same name, and one for any architecture.
pub fn build(pkgbase: &str) -> ClaimedBuild {
    let package = |name: String, architecture: &str| ExpectedPackage {
        name: name.parse().unwrap(),
        architecture: architecture.parse().unwrap(),
    };
    ClaimedBuild {
        attempt: AttemptId::new(),
        build: BuildId(1),
        namespace: "space".parse().unwrap(),
        iteration: 1,
        pkgbase: pkgbase.parse().unwrap(),
        architecture: "x86_64".parse().unwrap(),
        stage: 1,
        bootstrap: false,
        source: SourceLocation {
            clone_url: "/nowhere".into(),
            commit: "0".repeat(40).parse().unwrap(),
        },
        pkgrel: None,
        version: "1.0-1.1".parse().unwrap(),
        release: None,
        packages: vec![
            package(pkgbase.into(), "x86_64"),
            package(format!("{pkgbase}-docs"), "any"),
        ],
        dependencies: vec![],
        sources: vec![],
        network: Default::default(),
        missing_keys: Default::default(),
        repositories: vec![],
        source_date_epoch: CommitTime(1),
        packager: Packager::default(),
        build_tool: BuildTool::default(),
        timeout_s: 1_000_000,
        lease_s: 60,
    }
}
