//! What packages record about their build, and rebuilding them from it.

use std::str::FromStr as _;

use alpm_buildinfo::BuildInfo;
use buildbtw_builder::{BuildOutcome, Source};
use sha2::{Digest as _, Sha256};

use crate::support::{Fixture, expected, file_in, script_package};

/// Returns a PKGBUILD with files that record when and where it was built.
fn pkgbuild() -> String {
    script_package(
        "again",
        "echo \"$SOURCE_DATE_EPOCH\" >stamp; echo \"$PWD\" >folder",
    )
    .replace(
        "/dev/null \"$pkgdir",
        "stamp \"$pkgdir/usr/share/again/stamp\"; install -Dm644 folder \"$pkgdir",
    )
}

#[tokio::test]
async fn records_build_directory_and_packager() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    fixture.publish_some("base").await;
    let mut request = fixture.request("info", &script_package("info", ":"));
    request.pkgrel = Some("1.1".into());
    request.build_tool.name = "devtools".parse().unwrap();
    request.build_tool.version = "1:1.3.2-1-any".parse().unwrap();
    let (packages, _) = fixture.built(&request).await;
    let text = file_in(&packages[0].path, ".BUILDINFO");
    let BuildInfo::V2(info) = BuildInfo::from_str(&text).unwrap() else {
        panic!("{text}")
    };
    assert_eq!(info.builddir.to_string(), "/build");
    assert_eq!(info.startdir.to_string(), "/startdir");
    assert_eq!(info.packager.to_string(), "Tester <tester@localhost>");
    assert_eq!(info.buildtool.to_string(), "devtools");
    assert_eq!(info.buildtoolver.to_string(), "1:1.3.2-1-any");
    assert_eq!(info.pkgver.to_string(), "1.0-1.1");
    assert!(text.contains("installed = host-base-1-1-any"), "{text}");
}

/// The repositories of Arch Linux reject packages without a packager.
#[tokio::test]
async fn uses_default_packager_and_build_tool() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let mut request = fixture.request("info", &script_package("info", ":"));
    request.packager = buildbtw_model::Packager::default();
    let (packages, _) = fixture.built(&request).await;
    let text = file_in(&packages[0].path, ".BUILDINFO");
    let BuildInfo::V2(info) = BuildInfo::from_str(&text).unwrap() else {
        panic!("{text}")
    };
    assert_eq!(info.packager.to_string(), "buildbtw <buildbtw@localhost>");
    assert_eq!(info.buildtool.to_string(), "buildbtw");
    assert_eq!(info.buildtoolver.to_string(), env!("CARGO_PKG_VERSION"));
    assert!(file_in(&packages[0].path, ".PKGINFO").contains("packager = buildbtw <"));
}

#[tokio::test]
async fn reproduces_package_from_kept_pkgbuild_and_buildinfo() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let mut request = fixture.request("again", &pkgbuild());
    request.pkgrel = Some("1.1".into());
    request.packages = vec![expected("again", "x86_64")];
    let (outcome, log) = fixture.build(&request).await;
    let BuildOutcome::Succeeded {
        packages, pkgbuild, ..
    } = outcome
    else {
        panic!("{outcome:?}\n{log}")
    };
    let kept = pkgbuild.unwrap();
    assert!(kept.ends_with("again-1.0-1.1.PKGBUILD"), "{kept:?}");
    let text = fs_err::read_to_string(&kept).unwrap();
    assert!(text.contains("pkgrel=1.1\n"), "{text}");
    let first = fs_err::read(&packages[0].path).unwrap();
    let BuildInfo::V2(info) =
        BuildInfo::from_str(&file_in(&packages[0].path, ".BUILDINFO")).unwrap()
    else {
        panic!("another format")
    };
    let digest = Sha256::digest(text.as_bytes());
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(info.pkgbuild_sha256sum.to_string(), digest);

    // Only from what was kept: no release is bumped, and the date is that of .BUILDINFO.
    let mut again = fixture.request("again2", &text);
    let Source::Directory(folder) = &again.source else {
        panic!("{again:?}")
    };
    assert_eq!(fs_err::read_dir(folder).unwrap().count(), 1);
    again.pkgbase = request.pkgbase.clone();
    again.source_date_epoch = Some(info.builddate.to_string().parse().unwrap());
    again.packager = info.packager.to_string().parse().unwrap();
    again.build_tool.name = info.buildtool.to_string().parse().unwrap();
    again.build_tool.version = info.buildtoolver.to_string().parse().unwrap();
    fs_err::remove_file(&packages[0].path).unwrap();
    let (packages, _) = fixture.built(&again).await;
    assert!(
        fs_err::read(&packages[0].path).unwrap() == first,
        "the packages differ"
    );
}

/// Settings of the base determine neither the number of jobs nor the recorded build tool.
#[tokio::test]
async fn ignores_jobs_and_build_tool_settings_of_the_base() {
    let Some(mut fixture) = Fixture::new() else {
        return;
    };
    let conf = fixture.path("makepkg.conf");
    let mut text = fs_err::read_to_string("/etc/makepkg.conf").unwrap();
    text.push_str("MAKEFLAGS=-j64 NPROC=64 BUILDTOOL=other BUILDTOOLVER=9 OWN_SETTING=kept\n");
    fs_err::write(&conf, text).unwrap();
    fixture.start_helper_by(&format!(
        "exec unshare --mount --propagation private sh -c '\
         mount --bind {} /etc/makepkg.conf && exec \"$@\"' sh \"$@\"",
        conf.display()
    ));
    let script = "echo \"own $MAKEFLAGS $NPROC $OWN_SETTING\"";
    let request = fixture.request("settings", &script_package("settings", script));
    let (packages, log) = fixture.built(&request).await;
    assert!(log.lines().any(|line| line == "own -j2 2 kept"), "{log}");
    let text = file_in(&packages[0].path, ".BUILDINFO");
    assert!(text.contains("buildtool = buildbtw\n"), "{text}");
}
