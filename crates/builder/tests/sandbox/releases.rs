//! The release of a rebuild: written in whatever way the PKGBUILD sets it, and for the version that
//! `pkgver()` computes.

use buildbtw_builder::{BuildRequest, Source};
use buildbtw_model::FailureKind::Package;
use buildbtw_model::ReleaseRule;

use crate::serving::serve;
use crate::support::{Fixture, file_in};

/// Returns a PKGBUILD whose release is set by `lines`.
fn released(name: &str, lines: &str) -> String {
    format!(
        "pkgname={name}\npkgver=1.0\narch=(any)\n{lines}\n\
         package() {{ install -Dm644 /dev/null \"$pkgdir/usr/share/{name}\"; }}\n"
    )
}

fn rebuild(base: &[&str], earlier: &[&str]) -> Option<ReleaseRule> {
    let versions = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
    Some(ReleaseRule {
        is_rebuild: true,
        base: versions(base),
        earlier: versions(earlier),
    })
}

async fn version(fixture: &Fixture, request: &BuildRequest) -> String {
    let (packages, log) = fixture.built(request).await;
    let info = file_in(&packages[0].path, ".PKGINFO");
    let version = packages[0].file_name.version().to_string();
    assert!(
        info.contains(&format!("pkgver = {version}\n")),
        "{info}\n{log}"
    );
    version
}

#[tokio::test]
async fn replaces_release_in_every_form() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    for lines in [
        "pkgrel=3 # third",
        "pkgrel=$((1 + 2))",
        "  pkgrel='3'",
        "_rel=3\npkgrel=${_rel}",
        "if [[ -n $CARCH ]]; then pkgrel=3; else pkgrel=4; fi",
        "pkgrel=2\npkgrel=3",
        "export pkgrel=3",
        "printf -v pkgrel %d 3",
        ": ${pkgrel:=3}",
        ". ./common.sh",
        "pkgrel=3\n. ./common.sh",
    ] {
        let pkgbuild = released("relates", lines);
        let files = [("PKGBUILD", &*pkgbuild), ("common.sh", "pkgrel=3\n")];
        let mut request = fixture.request_with("relates", &files);
        request.pkgrel = Some("3.1".into());
        assert_eq!(version(&fixture, &request).await, "1.0-3.1", "{lines}");
    }
}

#[tokio::test]
async fn fails_before_download_when_release_cannot_be_replaced() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let pkgbuild = released("stubborn", "printf -v pkgrel 3; readonly pkgrel");
    let mut request = fixture.request("stubborn", &pkgbuild);
    request.pkgrel = Some("3.1".into());
    request.sources = vec!["http://127.0.0.1:1/x.tar.gz".into()];
    let (kind, message, log) = fixture.fails(&request).await;
    assert_eq!(kind, Package, "{message}\n{log}");
    assert!(
        message.starts_with("the release cannot be bumped to 3.1")
            && message.contains("write `pkgrel=N` on a line of its own"),
        "{message}\n{log}"
    );
}

/// Packages of one PKGBUILD that pin each other.
#[tokio::test]
async fn updates_pins_of_siblings_or_names_them() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let pair = |pin: &str| {
        format!(
            "pkgbase=pair\npkgname=(pair pair-docs)\npkgver=1.0\npkgrel=1\narch=(any)\n\
             package_pair() {{ depends=(\"pair-docs={pin}\"); install -d \"$pkgdir/usr/share/pair\"; }}\n\
             package_pair-docs() {{ install -d \"$pkgdir/usr/share/pair-docs\"; }}\n"
        )
    };
    let mut request = fixture.request("pair", &pair("$pkgver-$pkgrel"));
    request.pkgrel = Some("1.1".into());
    let (packages, log) = fixture.built(&request).await;
    let info = file_in(&packages[0].path, ".PKGINFO");
    assert!(
        info.contains("depend = pair-docs=1.0-1.1\n"),
        "{info}\n{log}"
    );

    let mut request = fixture.request("pair", &pair("1.0-1"));
    request.pkgrel = Some("1.1".into());
    let (kind, message, log) = fixture.fails(&request).await;
    assert_eq!(kind, Package, "{message}\n{log}");
    assert!(
        message.contains("pair depends on `pair-docs=1.0-1`, and pair-docs becomes 1.0-1.1")
            && message.contains("write `pair-docs=$pkgver-$pkgrel`"),
        "{message}"
    );
}

#[tokio::test]
async fn installs_dependency_pinned_to_the_bumped_release() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let mut library = fixture.request("library", &released("library", "pkgrel=1"));
    library.pkgrel = Some("1.1".into());
    let (packages, _) = fixture.built(&library).await;
    fixture.publish("base", &packages);
    let lines = "pkgrel=1\ndepends=(\"library=$pkgver-$pkgrel\")";
    let mut request = fixture.request("follows", &released("follows", lines));
    request.dependencies = vec!["library=1.0-1".into()];
    request.pkgrel = Some("1.1".into());
    assert_eq!(version(&fixture, &request).await, "1.0-1.1");
}

/// If `pkgver()` computes the version, the release is written after the installation of
/// dependencies.
#[tokio::test]
async fn names_dependency_pinned_to_a_later_release() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let lines = "pkgrel=1\ndepends=(\"library=2-$pkgrel\")\npkgver() { echo 1.0; }";
    let mut request = fixture.request("late", &released("late", lines));
    request.dependencies = vec!["library=2-1".into()];
    request.pkgrel = Some("1.1".into());
    let (kind, message, log) = fixture.fails(&request).await;
    assert_eq!(kind, Package, "{message}\n{log}");
    assert!(
        message.contains("the dependency `library=2-1` is installed before the release is written")
            && message.contains("would become `library=2-1.1`"),
        "{message}"
    );
}

const RELSOURCE: &str = "pkgname=relsource\npkgver=1.0\npkgrel=3\narch=(any)\n\
    source=(\"fix-$pkgver-$pkgrel.patch\")\nsha256sums=(SKIP)\n\
    package() { install -Dm644 \"$srcdir/fix-$pkgver-$pkgrel.patch\" \"$pkgdir/usr/share/relsource/fix\"; }\n";

#[tokio::test]
async fn downloads_source_named_after_release_from_its_old_address() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    // A link in the tree.
    let files = [("PKGBUILD", RELSOURCE), ("fix", "patch\n")];
    let mut request = fixture.request_with("relsource", &files);
    let folder = fixture.path("sources/relsource");
    std::os::unix::fs::symlink("fix", folder.join("fix-1.0-3.patch")).unwrap();
    request.sources = vec!["fix-1.0-3.patch".into()];
    request.pkgrel = Some("9.1".into());
    let (packages, log) = fixture.built(&request).await;
    assert_eq!(
        file_in(&packages[0].path, "usr/share/relsource/fix"),
        "patch\n",
        "{log}"
    );

    fs_err::write(fixture.path("repository/fix-1.0-3.patch"), "fetched\n").unwrap();
    let port = serve(fixture.path("repository")).await;
    let address = format!("http://127.0.0.1:{port}/fix-");
    let digest = fixture.sh("sha256sum <repository/fix-1.0-3.patch | cut -d' ' -f1");
    let remote = RELSOURCE
        .replace("\"fix-", &format!("\"{address}"))
        .replace("SKIP", &digest);
    let mut request = fixture.request_with("remote", &[("PKGBUILD", &remote)]);
    request.pkgbase = "relsource".parse().unwrap();
    request.sources = vec![format!("{address}1.0-3.patch")];
    request.pkgrel = Some("9.1".into());
    let (packages, log) = fixture.built(&request).await;
    assert_eq!(packages[0].file_name.version().as_str(), "1.0-9.1");
    assert_eq!(
        file_in(&packages[0].path, "usr/share/relsource/fix"),
        "fetched\n",
        "{log}"
    );
}

/// Built from a repository whose history determines the version.
struct Upstream {
    /// `r2.<commit>`.
    version: String,
    source: String,
}

async fn upstream(fixture: &Fixture) -> Upstream {
    fixture.git("upstream", &[("hello.txt", "hello\n")]);
    fixture.sh(
        "cd upstream && git -c user.name=t -c user.email=t@localhost commit -q --allow-empty -m two",
    );
    let commit = fixture.sh("cd upstream && git rev-parse --short=7 HEAD");
    fixture.sh("cd upstream && git update-server-info && mv .git ../repository/upstream.git");
    let port = serve(fixture.folder.path().to_owned()).await;
    Upstream {
        version: format!("r2.{commit}"),
        source: format!("git+http://127.0.0.1:{port}/repository/upstream.git"),
    }
}

const PKGVER: &str = "pkgver() { cd upstream; printf 'r%s.%s' \"$(git rev-list --count HEAD)\" \
                      \"$(git rev-parse --short=7 HEAD)\"; }";

fn of_repository(fixture: &Fixture, upstream: &Upstream, lines: &str) -> BuildRequest {
    let source = &upstream.source;
    let pkgbuild = released(
        "vcs-git",
        &format!("source=('{source}')\nsha256sums=(SKIP)\n{lines}"),
    )
    .replace("pkgver=1.0", "pkgver=r1.aaaaaaa");
    let srcinfo = format!(
        "pkgbase = vcs-git\n\tpkgver = r1.aaaaaaa\n\tpkgrel = 1\n\tarch = any\n\tsource = {source}\n\
         \tsha256sums = SKIP\n\npkgname = vcs-git\n"
    );
    let files = [("PKGBUILD", &*pkgbuild), (".SRCINFO", &*srcinfo)];
    let mut request = fixture.request_with("vcs-git", &files);
    request.sources = vec![source.clone()];
    request.pkgrel = Some("1.1".into());
    request.version = Some("r1.aaaaaaa-1.1".parse().unwrap());
    request
}

#[tokio::test]
async fn bumps_release_for_computed_version() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let upstream = upstream(&fixture).await;
    let found = &upstream.version;
    let prepared = "prepare() { [[ ! -e prepared ]] && touch prepared; }\nbuild() { ls prepared; }";
    let plain = format!("pkgrel=1\n{PKGVER}\n{prepared}");
    let same = [format!("{found}-1")];
    let more = [format!("{found}-1.4"), "r1.aaaaaaa-9".to_owned()];
    for (rule, expected) in [
        (rebuild(&[&same[0]], &[]), "1.1"),
        (rebuild(&[&same[0]], &[&more[0], &more[1]]), "1.5"),
        (rebuild(&[], &[]), "1.1"),
        (Some(ReleaseRule::default()), "1"),
        (
            Some(ReleaseRule {
                is_rebuild: false,
                ..rebuild(&[&same[0]], &[]).unwrap()
            }),
            "1.1",
        ),
    ] {
        let mut request = of_repository(&fixture, &upstream, &plain);
        request.release = rule;
        let expected = format!("{found}-{expected}");
        assert_eq!(version(&fixture, &request).await, expected);
    }
    // A release that makepkg cannot restore.
    let mut request = of_repository(&fixture, &upstream, &format!("  pkgrel=$((0+1))\n{PKGVER}"));
    request.release = rebuild(&[&same[0]], &[]);
    assert_eq!(version(&fixture, &request).await, format!("{found}-1.1"));
    // The plan expected a higher version, and pkgver() does not change it.
    for (planned, expected) in [("1.3", "1.3"), ("1", "1.1")] {
        let mut request = of_repository(&fixture, &upstream, &plain);
        request.version = Some(format!("{found}-{planned}").parse().unwrap());
        request.release = rebuild(&[&same[0]], &[]);
        let expected = format!("{found}-{expected}");
        assert_eq!(version(&fixture, &request).await, expected);
    }
    // makepkg does not write the version if `pkgver=` does not start a line.
    let mut request = of_repository(&fixture, &upstream, &plain);
    let Source::Directory(folder) = &request.source else {
        panic!("{request:?}")
    };
    let text = fs_err::read_to_string(folder.join("PKGBUILD")).unwrap();
    fs_err::write(
        folder.join("PKGBUILD"),
        text.replace("\npkgver=", "\n  pkgver="),
    )
    .unwrap();
    request.release = rebuild(&[&same[0]], &[]);
    assert_eq!(version(&fixture, &request).await, format!("{found}-1.1"));
    // Without a plan, the requested release is used.
    let mut request = of_repository(&fixture, &upstream, &plain);
    request.version = None;
    request.pkgrel = Some("7.1".into());
    assert_eq!(version(&fixture, &request).await, format!("{found}-7.1"));
}

#[tokio::test]
async fn fails_before_build_when_rebuild_would_not_upgrade_base() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let upstream = upstream(&fixture).await;
    let mut request = of_repository(&fixture, &upstream, &format!("pkgrel=1\n{PKGVER}"));
    request.release = rebuild(&["r3.0000000-1"], &[]);
    let (kind, message, log) = fixture.fails(&request).await;
    assert_eq!(kind, Package, "{message}\n{log}");
    let expected = format!(
        "{}-1.1 would not install over r3.0000000-1 of the base repositories",
        upstream.version
    );
    assert!(message.starts_with(&expected), "{message}\n{log}");
    assert!(!log.contains("building vcs-git"), "{log}");

    let mut request = fixture.request("plain", &released("plain", "pkgrel=1"));
    request.pkgrel = Some("1.1".into());
    request.version = Some("1.0-1.1".parse().unwrap());
    request.release = rebuild(&["1:0.1-1"], &[]);
    let (kind, message, log) = fixture.fails(&request).await;
    assert_eq!(kind, Package, "{message}\n{log}");
    assert!(
        message.starts_with("1.0-1.1 would not install over 1:0.1-1 of the base repositories"),
        "{message}"
    );
}

#[tokio::test]
async fn names_pkgver_function_with_changing_result() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let upstream = upstream(&fixture).await;
    let lines = "pkgrel=1\npkgver() { echo x >>\"$srcdir/times\"; echo \"2.$(wc -l <\"$srcdir/times\")\"; }\n\
                 build() { echo the build runs; }";
    let mut request = of_repository(&fixture, &upstream, lines);
    request.release = rebuild(&[], &[]);
    let (kind, message, log) = fixture.fails(&request).await;
    assert_eq!(kind, Package, "{message}\n{log}");
    assert!(
        message.starts_with("pkgver() printed 2.1 first and 2.2 when it ran again"),
        "{message}\n{log}"
    );
    assert!(!log.contains("the build runs"), "{log}");
}

#[tokio::test]
async fn contains_or_rejects_pkgbuild_that_changes_its_release() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let upstream = upstream(&fixture).await;
    let lines = format!("pkgrel=1\n{}", PKGVER.replace("{ cd", "{ pkgrel=9; cd"));
    let mut request = of_repository(&fixture, &upstream, &lines);
    request.release = rebuild(&[], &[]);
    let expected = format!("{}-1.1", upstream.version);
    assert_eq!(version(&fixture, &request).await, expected);

    let edits = "{ sed -i 's/^pkgrel=.*/pkgrel=9/' \"$startdir/PKGBUILD\"; cd";
    let lines = format!("pkgrel=1\n{}", PKGVER.replace("{ cd", edits));
    let mut request = of_repository(&fixture, &upstream, &lines);
    request.release = rebuild(&[], &[]);
    let (kind, message, log) = fixture.fails(&request).await;
    assert_eq!(kind, Package, "{message}\n{log}");
    let found = format!(
        "has version {}-9, it was built as {expected}",
        upstream.version
    );
    assert!(
        message.contains(&found) && message.contains("the PKGBUILD changes pkgrel"),
        "{message}\n{log}"
    );
}

/// Files that `prepare()` leaves in place of the tree are not used.
#[tokio::test]
async fn prevents_replacing_the_tree_between_runs() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let upstream = upstream(&fixture).await;
    fs_err::create_dir(fixture.path("elsewhere")).unwrap();
    fs_err::write(fixture.path("elsewhere/PKGBUILD"), "pkgrel=1\n").unwrap();
    let elsewhere = fixture.path("elsewhere").display().to_string();
    let lines = format!(
        "pkgrel=1\n{PKGVER}\nprepare() {{ mv \"$startdir\" \"$startdir-moved\" || true; \
         ln -sfn {elsewhere} \"$startdir\" || true; \
         rm -f \"$startdir/PKGBUILD\"; ln -s {elsewhere}/PKGBUILD \"$startdir/PKGBUILD\"; }}"
    );
    let mut request = of_repository(&fixture, &upstream, &lines);
    request.release = rebuild(&[], &[]);
    let (kind, message, log) = fixture.fails(&request).await;
    assert_eq!(kind, Package, "{message}\n{log}");
    let text = fs_err::read_to_string(fixture.path("elsewhere/PKGBUILD")).unwrap();
    assert_eq!(text, "pkgrel=1\n");
}
