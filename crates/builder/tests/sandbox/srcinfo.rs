//! A `.SRCINFO` that does not match its PKGBUILD is detected before any download.

use buildbtw_builder::BuildRequest;
use buildbtw_model::FailureKind::Package;

use crate::support::{Fixture, script_package};

const SPLIT: &str = "pkgbase=pair\npkgname=(pair pair-docs)\npkgver=1.0\npkgrel=1\n\
    arch=(x86_64 aarch64)\ndepends=(bash)\ndepends_x86_64=(coreutils)\nmakedepends=(make)\n\
    source=(note.txt)\nsha256sums=(SKIP)\n\
    package_pair() { depends+=(\"pair-docs=$pkgver-$pkgrel\"); install -Dm644 note.txt \"$pkgdir/usr/share/pair\"; }\n\
    package_pair-docs() { arch=(any); depends=(); install -Dm644 note.txt \"$pkgdir/usr/share/pair-docs\"; }\n";
const SPLIT_SRCINFO: &str = "# written by hand\npkgbase = pair\n\tpkgdesc = two packages\n\tpkgver = 1.0\n\tpkgrel = 1\n\tarch = aarch64\n\tarch = x86_64\n\tmakedepends = make\n\tdepends = bash\n\tsource = note.txt\n\tdepends_x86_64 = coreutils\n\npkgname = pair\n\tdepends = pair-docs=1.0-1\n\tdepends = bash\n\npkgname = pair-docs\n\tarch = any\n\tdepends = \n";

fn pair(fixture: &Fixture, srcinfo: &str) -> BuildRequest {
    let files = [
        ("PKGBUILD", SPLIT),
        (".SRCINFO", srcinfo),
        ("note.txt", "note\n"),
    ];
    let mut request = fixture.request_with("pair", &files);
    request.sources = vec!["note.txt".into()];
    request
}

async fn is_stale(fixture: &Fixture, request: &BuildRequest, expected: &str) {
    let (kind, message, log) = fixture.fails(request).await;
    assert_eq!(kind, Package, "{message}\n{log}");
    assert!(
        message.starts_with(".SRCINFO is stale: "),
        "{message}\n{log}"
    );
    assert!(message.contains(expected), "{expected}: {message}");
    for text in [&message, &log] {
        assert!(
            text.contains("makepkg --printsrcinfo > .SRCINFO"),
            "{message}\n{log}"
        );
    }
    assert!(log.contains(expected), "{log}");
}

#[tokio::test]
async fn detects_stale_srcinfo_before_download() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let (packages, _) = fixture
        .built(&fixture.request("plain", &script_package("plain", "true")))
        .await;
    fixture.publish("base", &packages);
    for (from, to, expected) in [
        (
            "\tmakedepends = make\n",
            "",
            "makedepends: .SRCINFO says nothing, the PKGBUILD says `make`",
        ),
        (
            "pkgver = 1.0",
            "pkgver = 0.9",
            "pkgver: .SRCINFO says `0.9`, the PKGBUILD says `1.0`",
        ),
        (
            "source = note.txt",
            "source = old.txt",
            "source: .SRCINFO says `old.txt`, the PKGBUILD says `note.txt`",
        ),
        (
            "depends_x86_64 = coreutils",
            "depends_x86_64 = sed",
            "depends: .SRCINFO says `sed`, the PKGBUILD says `coreutils`",
        ),
        (
            "pkgname = pair-docs",
            "pkgname = pair-doc",
            "pkgname: .SRCINFO says `pair-doc`, the PKGBUILD says `pair-docs`",
        ),
    ] {
        assert!(SPLIT_SRCINFO.contains(from), "{from}");
        let mut request = pair(&fixture, &SPLIT_SRCINFO.replacen(from, to, 1));
        request.pkgrel = Some("1.1".into());
        request.dependencies = vec!["plain".into()];
        is_stale(&fixture, &request, expected).await;
        let (_, _, log) = fixture.fails(&request).await;
        assert!(!log.contains("downloading dependencies"), "{log}");
        assert!(!log.contains("setting pkgrel"), "{log}");
    }
}

#[tokio::test]
async fn builds_with_equivalent_srcinfo() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let mut request = pair(&fixture, SPLIT_SRCINFO);
    request.pkgrel = Some("1.1".into());
    let (packages, log) = fixture.built(&request).await;
    assert_eq!(packages.len(), 2, "{log}");
    assert!(
        log.contains("comparing .SRCINFO with the PKGBUILD"),
        "{log}"
    );
}

/// The PKGBUILD runs a program that only its dependencies provide.
#[tokio::test]
async fn recompares_srcinfo_after_installing_dependencies() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let tool = "pkgname=greet-config\npkgver=1.0\npkgrel=1\narch=(any)\n\
        package() { install -d \"$pkgdir/usr/bin\"; printf '#!/bin/sh\\necho bash\\n' >\"$pkgdir/usr/bin/greet-config\"; chmod 755 \"$pkgdir/usr/bin/greet-config\"; }\n";
    let (packages, _) = fixture.built(&fixture.request("greet-config", tool)).await;
    fixture.publish("base", &packages);
    let pkgbuild = "pkgname=asks\npkgver=1.0\npkgrel=1\narch=(any)\nmakedepends=(greet-config)\n\
        depends=($(greet-config 2>/dev/null))\n\
        package() { install -Dm644 /dev/null \"$pkgdir/usr/share/asks\"; }\n";
    let srcinfo = "pkgbase = asks\n\tpkgver = 1.0\n\tpkgrel = 1\n\tarch = any\n\tmakedepends = greet-config\n\tdepends = bash\n\npkgname = asks\n";
    let asks = |srcinfo: &str| {
        let mut request =
            fixture.request_with("asks", &[("PKGBUILD", pkgbuild), (".SRCINFO", srcinfo)]);
        request.dependencies = vec!["greet-config".into(), "bash".into()];
        request.pkgrel = Some("1.1".into());
        request
    };
    let (packages, log) = fixture.built(&asks(srcinfo)).await;
    assert_eq!(packages[0].file_name.version().as_str(), "1.0-1.1", "{log}");
    assert!(log.contains("compared again"), "{log}");

    let stale = asks(&srcinfo.replace("depends = bash", "depends = coreutils"));
    is_stale(
        &fixture,
        &stale,
        "depends: .SRCINFO says `coreutils`, the PKGBUILD says `bash`",
    )
    .await;
}

#[tokio::test]
async fn compares_srcinfo_early_when_programs_are_installed() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let pkgbuild = "pkgname=asks\n_v=1_0\npkgver=$(echo $_v | tr _ .)\npkgrel=1\narch=(any)\n\
        depends=(bash)\npackage() { install -Dm644 /dev/null \"$pkgdir/usr/share/asks\"; }\n";
    let srcinfo = "pkgbase = asks\n\tpkgver = 1.0\n\tpkgrel = 1\n\tarch = any\n\npkgname = asks\n";
    let request = fixture.request_with("asks", &[("PKGBUILD", pkgbuild), (".SRCINFO", srcinfo)]);
    is_stale(&fixture, &request, "depends: .SRCINFO says nothing").await;
    let (_, _, log) = fixture.fails(&request).await;
    assert!(!log.contains("compared again"), "{log}");
}

/// `.SRCINFO` can only describe the PKGBUILD on one architecture.
#[tokio::test]
async fn accepts_srcinfo_of_another_architecture() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let pkgbuild = "pkgname=both\npkgver=1.0\npkgrel=1\narch=(x86_64 aarch64)\n\
        [[ $CARCH == aarch64 ]] && depends=(bash)\n\
        package() { install -Dm644 /dev/null \"$pkgdir/usr/share/both\"; }\n";
    let srcinfo = "pkgbase = both\n\tpkgver = 1.0\n\tpkgrel = 1\n\tarch = x86_64\n\tarch = aarch64\n\tdepends = bash\n\npkgname = both\n";
    let request = fixture.request_with("both", &[("PKGBUILD", pkgbuild), (".SRCINFO", srcinfo)]);
    let (_, log) = fixture.built(&request).await;
    assert!(log.contains(".SRCINFO was written on aarch64"), "{log}");
}

#[tokio::test]
async fn accepts_computed_version_that_differs_from_srcinfo() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let pkgbuild = script_package("computed", "true")
        .replace("build()", "pkgver() { echo 1.5; }\nbuild()")
        .replace("arch=", "provides=(\"c=$pkgver\")\narch=");
    let srcinfo = "pkgbase = computed\n\tpkgver = 0.7\n\tpkgrel = 1\n\tarch = x86_64\n\tprovides = c=0.7\n\npkgname = computed\n";
    let files = [("PKGBUILD", &*pkgbuild), (".SRCINFO", srcinfo)];
    fixture
        .built(&fixture.request_with("computed", &files))
        .await;
}

/// The PKGBUILD is read before the network is used: later steps do not see what it leaves.
#[tokio::test]
async fn discards_side_effects_of_the_top_level() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let pkgbuild = format!(
        "echo hello = world\n: >/srcdest/left || exit 1\n: >/tmp/left\n: >/startdir/left\n{}",
        script_package(
            "leaves",
            "ls /srcdest /tmp; [[ $(ls -A /srcdest) == left ]]"
        )
    );
    let srcinfo =
        "pkgbase = leaves\n\tpkgver = 1.0\n\tpkgrel = 1\n\tarch = x86_64\n\npkgname = leaves\n";
    let files = [("PKGBUILD", &*pkgbuild), (".SRCINFO", srcinfo)];
    let request = fixture.request_with("leaves", &files);
    let (_, log) = fixture.built(&request).await;
    assert!(log.contains("Read-only file system"), "{log}");
}

/// bash finds functions whose definition does not start with `pkgver()`.
#[tokio::test]
async fn accepts_different_version_for_any_form_of_pkgver() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let plain = script_package("computed", "true");
    let srcinfo =
        "pkgbase = computed\n\tpkgver = 0.7\n\tpkgrel = 1\n\tarch = x86_64\n\npkgname = computed\n";
    for (start, common) in [
        ("function pkgver { echo 1.5; }\nbuild()", ""),
        (". ./common.sh\nbuild()", "pkgver() { echo 1.5; }\n"),
    ] {
        let pkgbuild = plain.replace("build()", start);
        let files = [
            ("PKGBUILD", &*pkgbuild),
            ("common.sh", common),
            (".SRCINFO", srcinfo),
        ];
        // The plan expects 1.0-1.
        let (packages, log) = fixture
            .built(&fixture.request_with("computed", &files))
            .await;
        assert_eq!(packages[0].file_name.version().as_str(), "1.5-1", "{log}");
    }
}

/// A path of a program, or a test for it, does not fail while the program is missing.
#[tokio::test]
async fn recompares_srcinfo_when_a_program_was_missing() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let tool = "pkgname=greet-config\npkgver=1.0\npkgrel=1\narch=(any)\n\
        package() { install -d \"$pkgdir/usr/bin\"; printf '#!/bin/sh\\necho bash\\n' >\"$pkgdir/usr/bin/greet-config\"; chmod 755 \"$pkgdir/usr/bin/greet-config\"; }\n";
    let (packages, _) = fixture.built(&fixture.request("greet-config", tool)).await;
    fixture.publish("base", &packages);
    for line in [
        "_d=$(/usr/bin/greet-config 2>/dev/null | cut -c1-4); depends=($_d)",
        "[[ -x /usr/bin/greet-config ]] && depends=(bash)",
    ] {
        let pkgbuild = format!(
            "pkgname=asks\npkgver=1.0\npkgrel=1\narch=(any)\nmakedepends=(greet-config)\n{line}\n\
             package() {{ install -Dm644 /dev/null \"$pkgdir/usr/share/asks\"; }}\n"
        );
        let srcinfo = "pkgbase = asks\n\tpkgver = 1.0\n\tpkgrel = 1\n\tarch = any\n\tmakedepends = greet-config\n\tdepends = bash\n\npkgname = asks\n";
        let files = [("PKGBUILD", &*pkgbuild), (".SRCINFO", srcinfo)];
        let mut request = fixture.request_with("asks", &files);
        request.dependencies = vec!["greet-config".into(), "bash".into()];
        let (_, log) = fixture.built(&request).await;
        assert!(log.contains("compared again"), "{line}: {log}");
    }
}

/// A file that the PKGBUILD sources checks the architecture.
#[tokio::test]
async fn accepts_srcinfo_when_a_sourced_file_depends_on_the_architecture() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let pkgbuild = "pkgname=both\npkgver=1.0\npkgrel=1\narch=(any)\n. ./common.sh\n\
        package() { install -Dm644 /dev/null \"$pkgdir/usr/share/both\"; }\n";
    let srcinfo = "pkgbase = both\n\tpkgver = 1.0\n\tpkgrel = 1\n\tarch = any\n\tdepends = bash\n\npkgname = both\n";
    let files = [
        ("PKGBUILD", pkgbuild),
        ("common.sh", "[[ $CARCH != aarch64 ]] || depends=(bash)\n"),
        (".SRCINFO", srcinfo),
    ];
    let (_, log) = fixture.built(&fixture.request_with("both", &files)).await;
    assert!(log.contains(".SRCINFO was written on aarch64"), "{log}");
}

/// The committed `.SRCINFO` is written without the variable, and lists the dependencies in its
/// cycle.
#[tokio::test]
async fn compares_srcinfo_without_the_bootstrap_variable() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let pkgbuild = "pkgname=cycle\npkgver=1.0\npkgrel=1\narch=(any)\nmakedepends=(of-the-cycle)\n\
        [[ $BUILDBTW_BOOTSTRAP == 1 ]] && makedepends=()\n\
        build() { echo \"bootstrap: $BUILDBTW_BOOTSTRAP\"; }\n\
        package() { install -d \"$pkgdir/usr/share/cycle\"; }\n";
    let srcinfo = "pkgbase = cycle\n\tpkgver = 1.0\n\tpkgrel = 1\n\tarch = any\n\
        \tmakedepends = of-the-cycle\n\npkgname = cycle\n";
    let mut request =
        fixture.request_with("cycle", &[("PKGBUILD", pkgbuild), (".SRCINFO", srcinfo)]);
    request.pkgrel = Some("1.1".into());
    request.bootstrap = true;
    let (_, log) = fixture.built(&request).await;
    assert!(log.contains("bootstrap: 1"), "{log}");
}
