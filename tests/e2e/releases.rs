//! Releases of a rebuild with makepkg in the sandbox: however a PKGBUILD sets its release, pacman upgrades the
//! distribution's packages to the built ones.

use buildbtw_model::api::IterationDetail;
use buildbtw_model::{BuildStatus, FailureKind, IterationStatus};
use buildbtw_tests::{PreviousDistribution, Server, Sources, Worker, cli, printed};

/// Commits `key = value` lines of an `.SRCINFO`, and a PKGBUILD, of packages for any architecture.
fn commit(sources: &Sources, name: &str, srcinfo: &str, pkgbuild: &str) {
    let lines: String = srcinfo
        .split("; ")
        .map(|line| format!("\t{line}\n"))
        .collect();
    let srcinfo = format!("pkgbase = {name}\n{lines}\tarch = any\n\npkgname = {name}\n");
    let package =
        format!("package() {{ install -Dm644 /dev/null \"$pkgdir/usr/share/{name}/x\"; }}\n");
    let pkgbuild = format!("pkgname={name}\narch=(any)\n{pkgbuild}\n{package}");
    sources.commit_with(name, &srcinfo, &pkgbuild);
}

fn iteration(server: &Server, namespace: &str) -> IterationDetail {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let name = namespace.parse().unwrap();
    runtime
        .block_on(server.client().iteration(&name, None))
        .unwrap()
}

#[test]
fn rebuild_upgrades_old_packages_for_every_form_of_pkgrel() {
    let folder = tempfile::tempdir().unwrap();
    let sources = Sources::new(folder.path());
    commit(
        &sources,
        "lowlib",
        "pkgver = 1.0; pkgrel = 1",
        "pkgver=1.0\npkgrel=1",
    );
    // The version is computed, and the distribution has the newest one already.
    commit(
        &sources,
        "computed",
        "pkgver = r1.aaaaaaa; pkgrel = 1; depends = lowlib",
        "pkgver=r1.aaaaaaa\npkgrel=1\ndepends=(lowlib)\npkgver() { echo r2.bbbbbbb; }",
    );
    commit(
        &sources,
        "indented",
        "pkgver = 1; pkgrel = 3; depends = lowlib",
        "pkgver=1\n  pkgrel=$((1 + 2)) # three\ndepends=(lowlib)",
    );
    commit(
        &sources,
        "relsource",
        "pkgver = 1.0; pkgrel = 3; depends = lowlib; source = fix-1.0-3.patch; sha256sums = SKIP",
        "pkgver=1.0\npkgrel=3\ndepends=(lowlib)\nsource=(\"fix-$pkgver-$pkgrel.patch\")\n\
         sha256sums=(SKIP)\nbuild() { cat \"$srcdir/fix-$pkgver-$pkgrel.patch\"; }",
    );
    sources.commit_file("relsource", "fix-1.0-3.patch", "patch\n");
    let pair = "pkgbase = pair\n\tpkgver = 2\n\tpkgrel = 1\n\tarch = any\n\tdepends = lowlib\n\
                \npkgname = pair\n\tdepends = lowlib\n\tdepends = pair-docs=2-1\n\npkgname = pair-docs\n";
    sources.commit_with(
        "pair",
        pair,
        "pkgbase=pair\npkgname=(pair pair-docs)\npkgver=2\npkgrel=1\narch=(any)\ndepends=(lowlib)\n\
         package_pair() { depends+=(\"pair-docs=$pkgver-$pkgrel\"); install -d \"$pkgdir/usr/share/pair\"; }\n\
         package_pair-docs() { install -d \"$pkgdir/usr/share/pair-docs\"; }\n",
    );
    let Some(old) =
        PreviousDistribution::of(folder.path(), &sources, &[("computed", "r2.bbbbbbb-1")])
    else {
        return;
    };
    let server = Server::start_with_base(folder.path(), &sources, &old.base_repositories());
    let _worker = Worker::sandboxed(&server, &folder.path().join("scratch"));
    let output = cli(
        &server,
        &["new", "lowlib/main", "--name", "releases", "--follow"],
    );
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    let members = [
        "lowlib",
        "computed",
        "indented",
        "relsource",
        "pair",
        "pair-docs",
    ];
    let after = old.upgrades(&server, "releases", &members);
    for (name, version) in [
        ("lowlib", "1.0-1.1"),
        ("computed", "r2.bbbbbbb-1.1"),
        ("indented", "1-3.1"),
        ("relsource", "1.0-3.1"),
        ("pair", "2-1.1"),
    ] {
        assert_eq!(after[name], version, "{name}");
    }
}

#[test]
fn fails_once_and_reports_package_that_would_not_upgrade_base() {
    let folder = tempfile::tempdir().unwrap();
    let sources = Sources::new(folder.path());
    commit(
        &sources,
        "lowlib",
        "pkgver = 1.0; pkgrel = 1",
        "pkgver=1.0\npkgrel=1",
    );
    commit(
        &sources,
        "behind",
        "pkgver = 1; pkgrel = 1; depends = lowlib",
        "pkgver=1\npkgrel=1\ndepends=(lowlib)",
    );
    let Some(old) = PreviousDistribution::of(folder.path(), &sources, &[("behind", "2-1")]) else {
        return;
    };
    let server = Server::start_with_base(folder.path(), &sources, &old.base_repositories());
    let output = cli(&server, &["plan", "lowlib/main"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let older = "behind: 1-1.1 would not install over 2-1 of the base repositories";
    assert!(text.contains(older), "{}", printed(&output));
    let _worker = Worker::sandboxed(&server, &folder.path().join("scratch"));
    let output = cli(
        &server,
        &["new", "lowlib/main", "--name", "fails", "--follow"],
    );
    assert_eq!(output.status.code(), Some(1), "{}", printed(&output));
    let detail = iteration(&server, "fails");
    assert_eq!(detail.summary.status, IterationStatus::Failed);
    let mut builds = detail.builds.iter();
    let build = builds.find(|build| build.pkgbase.as_str() == "behind");
    let build = build.unwrap();
    assert_eq!(build.status, BuildStatus::Failed);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let shown = runtime.block_on(server.client().build(build.id)).unwrap();
    let [attempt] = &shown.attempts[..] else {
        panic!("{:?}", shown.attempts);
    };
    assert_eq!(attempt.failure, Some(FailureKind::Package));
    let message = attempt.message.clone().unwrap_or_default();
    assert!(message.contains("would not install over 2-1"), "{message}");
}

#[test]
fn builds_and_reports_origin_older_than_base() {
    let folder = tempfile::tempdir().unwrap();
    let sources = Sources::new(folder.path());
    commit(
        &sources,
        "lowlib",
        "pkgver = 1.0; pkgrel = 1",
        "pkgver=1.0\npkgrel=1",
    );
    let Some(old) = PreviousDistribution::of(folder.path(), &sources, &[("lowlib", "1:0.1-1")])
    else {
        return;
    };
    let server = Server::start_with_base(folder.path(), &sources, &old.base_repositories());
    let _worker = Worker::simulated(&server, &folder.path().join("scratch"), 1, "0");
    let note = "older than base, `pacman -Syu` will not install it";
    let planned = cli(&server, &["plan", "lowlib/main"]);
    assert!(printed(&planned).contains(note), "{}", printed(&planned));
    let output = cli(
        &server,
        &["new", "lowlib/main", "--name", "older", "--follow"],
    );
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    let shown = cli(&server, &["show", "older"]);
    assert!(printed(&shown).contains(note), "{}", printed(&shown));
    let after = old.upgrades(&server, "older", &[]);
    assert_eq!(after["lowlib"], "1:0.1-1");
}
