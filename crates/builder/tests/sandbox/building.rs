//! Packages that build, and the dependencies they are built against.

use std::os::unix::fs::MetadataExt as _;

use buildbtw_builder::{Bind, RootCommand, Source, run_in_root};
use buildbtw_model::FailureKind;
use tokio_util::sync::CancellationToken;

use crate::serving::{serve, serve_nothing};
use crate::support::{Fixture, Log, expected, file_in, script_package};

fn libgreet(major: u32) -> String {
    format!(
        r#"pkgbase=libgreet
pkgname=(libgreet libgreet-docs)
pkgver={major}.0
pkgrel=1
arch=(x86_64)
makedepends=('gcc>=4' make)
source=(greet.c)
sha256sums=(SKIP)
build() {{
  gcc -shared -fPIC -Wl,-soname,libgreet.so.{major} -o libgreet.so.{major} greet.c
}}
package_libgreet() {{
  provides=(libgreet.so)
  depends=('glibc>=2.30')
  install -Dm755 libgreet.so.{major} "$pkgdir/usr/lib/libgreet.so.{major}"
  ln -s libgreet.so.{major} "$pkgdir/usr/lib/libgreet.so"
}}
package_libgreet-docs() {{
  arch=(any)
  install -Dm644 greet.c "$pkgdir/usr/share/doc/libgreet/greet.c"
}}
"#
    )
}

fn greet_c(major: u32) -> String {
    format!("const char *greet(void) {{ return \"hello from {major}\"; }}\n")
}

const GREETER: &str = r#"pkgname=greeter
pkgver=1.0
pkgrel=1
arch=(x86_64)
depends=(libgreet.so)
source=(greeter.c)
sha256sums=(SKIP)
build() { gcc -o greeter greeter.c -lgreet; }
check() { ./greeter; }
package() { install -Dm755 greeter "$pkgdir/usr/bin/greeter"; }
"#;
const GREETER_C: &str = "#include <stdio.h>\nconst char *greet(void);\n\
                         int main(void) { return puts(greet()) < 0; }\n";

impl Fixture {
    async fn build_libgreet(&self, major: u32, repository: &str) {
        let files = [
            ("PKGBUILD", &*libgreet(major)),
            ("greet.c", &*greet_c(major)),
        ];
        let mut request = self.request_with("libgreet", &files);
        request.packages = vec![
            expected("libgreet", "x86_64"),
            expected("libgreet-docs", "any"),
        ];
        request.dependencies = vec!["gcc>=4".into(), "make".into()];
        request.version = Some(format!("{major}.0-1").parse().unwrap());
        let (packages, log) = self.built(&request).await;
        assert_eq!(packages.len(), 2, "{log}");
        self.publish(repository, &packages);
    }

    async fn run(&self, root: &str, command: &[&str]) -> (i32, String) {
        let log = Log::default();
        let command = RootCommand {
            dir: self.path(root),
            command: command.iter().map(|word| (*word).to_owned()).collect(),
            network: false,
            binds: vec![Bind {
                source: self.path("out"),
                target: "/mnt/out".into(),
                writable: false,
            }],
            repositories: vec![self.repository("base")],
            architecture: "x86_64".parse().unwrap(),
        };
        let code = run_in_root(&self.config, &command, &log, CancellationToken::new())
            .await
            .unwrap_or_else(|error| panic!("{error}\n{}", log.text()));
        (code, log.text())
    }
}

/// End to end: a library, a program linked to it, a new version, a rebuild, an upgraded system.
#[tokio::test]
async fn upgrades_a_system_with_rebuilt_packages() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    fixture.build_libgreet(1, "base").await;
    let files = [("PKGBUILD", GREETER), ("greeter.c", GREETER_C)];
    let mut greeter = fixture.request_with("greeter", &files);
    greeter.dependencies = vec!["libgreet.so".into()];
    greeter.packages = vec![expected("greeter", "x86_64")];
    greeter.version = Some("1.0-1".parse().unwrap());
    let (packages, log) = fixture.built(&greeter).await;
    assert!(
        log.contains("hello from 1"),
        "check() ran against it: {log}"
    );
    let info = file_in(&packages[0].path, ".PKGINFO");
    assert!(info.contains("depend = libgreet.so=1-64"), "{info}");
    assert!(
        info.contains("packager = Tester <tester@localhost>"),
        "{info}"
    );
    fixture.publish("base", &packages);

    let (code, text) = fixture
        .run("system", &["pacman", "-Sy", "--noconfirm", "greeter"])
        .await;
    assert_eq!(code, 0, "{text}");
    let (code, text) = fixture.run("system", &["greeter"]).await;
    assert_eq!((code, text.as_str()), (0, "hello from 1\n"));

    fixture.build_libgreet(2, "base").await;
    greeter.attempt = buildbtw_model::AttemptId::new();
    greeter.pkgrel = Some("1.1".into());
    greeter.version = Some("1.0-1.1".parse().unwrap());
    let (packages, log) = fixture.built(&greeter).await;
    assert!(log.contains("hello from 2"), "{log}");
    assert_eq!(
        packages[0].file_name.as_str(),
        "greeter-1.0-1.1-x86_64.pkg.tar.zst"
    );
    fixture.publish("base", &packages);

    let (code, text) = fixture
        .run("system", &["pacman", "-Syu", "--noconfirm"])
        .await;
    assert_eq!(code, 0, "{text}");
    let script = "greeter; id -u; touch /mine; ls /mnt/out; touch /mnt/out/x; exit 7";
    let (code, text) = fixture.run("system", &["bash", "-c", script]).await;
    assert_eq!(code, 7);
    assert!(text.starts_with("hello from 2\n0\n"), "{text}");
    assert!(
        text.contains("greeter-1.0-1.1-x86_64") && text.contains("Read-only"),
        "{text}"
    );
    let mine = fs_err::metadata(fixture.path("system/root/mine")).unwrap();
    assert_eq!(
        mine.uid(),
        fixture.config.uid_base,
        "its root is an unprivileged user here"
    );
    assert!(!fixture.path("out/x").exists());
}

#[tokio::test]
async fn rejects_old_member_of_the_rebuild_set() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    fixture.build_libgreet(1, "base").await;
    let outsider = "pkgname=outsider\npkgver=1\npkgrel=1\narch=(any)\ndepends=(libgreet.so=1-64)\n\
                    package() { install -Dm644 /dev/null \"$pkgdir/usr/share/outsider\"; }\n";
    let mut request = fixture.request("outsider", outsider);
    request.dependencies = vec!["libgreet.so=1-64".into()];
    let (packages, _) = fixture.built(&request).await;
    fixture.publish("base", &packages);
    fixture.build_libgreet(2, "rebuild").await;

    let mut request = fixture.request("member", &script_package("member", "true"));
    request.repositories = vec![fixture.repository("rebuild"), fixture.repository("base")];
    request.namespace_repository = Some("rebuild".parse().unwrap());
    request.dependencies = vec!["outsider".into(), "libgreet".into()];
    let (kind, message, log) = fixture.fails(&request).await;
    assert_eq!(kind, FailureKind::Package, "{log}");
    assert!(
        message.contains("libgreet 1.0-1") && message.contains("include outsider"),
        "{message}\n{log}"
    );
}

#[tokio::test]
async fn classifies_failures_by_kind() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let request = fixture.request(
        "broken",
        &script_package("broken", "echo 'x.c:1: error: boom'; false"),
    );
    let (kind, message, _) = fixture.fails(&request).await;
    assert_eq!(kind, FailureKind::Package);
    assert!(
        message.starts_with("makepkg: a function in the PKGBUILD failed (exit 4)\n"),
        "{message}"
    );
    assert!(message.contains("x.c:1: error: boom"), "{message}");

    let mut request = fixture.request("gone", "");
    request.source = Source::Git {
        url: format!("file://{}", fixture.path("nowhere").display()),
        commit: "1".repeat(40).parse().unwrap(),
    };
    let (kind, message, _) = fixture.fails(&request).await;
    assert_eq!(kind, FailureKind::Infrastructure);
    assert!(message.contains("could not be fetched from"), "{message}");

    // Amended and garbage-collected: a commit that no longer exists is not requested again.
    fixture.git("upstream", &[("PKGBUILD", "")]);
    request.source = Source::Git {
        url: format!("file://{}", fixture.path("upstream").display()),
        commit: "1".repeat(40).parse().unwrap(),
    };
    let (kind, message, log) = fixture.fails(&request).await;
    assert_eq!(kind, FailureKind::Package, "{message}\n{log}");
    assert!(message.contains("no longer exists in"), "{message}");
    assert!(message.contains("retry NAMESPACE --latest"), "{message}");
    assert!(log.contains("not our ref"), "{log}");

    let mut request = fixture.request("offline", &script_package("offline", "true"));
    let url = format!("http://127.0.0.1:{}/x.tar.gz", serve_nothing().await);
    request.sources = vec![url.clone()];
    let (kind, message, _) = fixture.fails(&request).await;
    assert_eq!(kind, FailureKind::Infrastructure);
    assert!(message.contains(&url), "{message}");
}

#[tokio::test]
async fn records_computed_version_while_builds_run_concurrently() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let mut computed = fixture.request(
        "computed",
        &script_package("computed", "true").replace("build()", "pkgver() { echo 1.5; }\nbuild()"),
    );
    computed.version = Some("1.0-1.1".parse().unwrap());
    computed.pkgrel = Some("1.1".into());
    let plain = fixture.request(
        "plain",
        &script_package("plain", "id -u; grep . /proc/self/uid_map"),
    );
    let ((first, log), (second, _)) = tokio::join!(fixture.built(&computed), fixture.built(&plain));
    assert_eq!(first[0].file_name.version().as_str(), "1.5-1.1", "{log}");
    assert_eq!(second[0].file_name.version().as_str(), "1.0-1");
}

/// A commit of a git repository, a dependency and a source over HTTP, a source from git.
#[tokio::test]
async fn downloads_everything_before_the_build() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let dependency = script_package("dependency", "true");
    let (packages, _) = fixture
        .built(&fixture.request("dependency", &dependency))
        .await;
    fixture.publish("base", &packages);
    let port = serve(fixture.folder.path().to_owned()).await;
    let upstream = fixture.git("upstream", &[("hello.txt", "from git\n")]);
    fixture.sh(
        "cd upstream && git tag v1 && git update-server-info && mv .git ../repository/upstream.git",
    );
    assert_eq!(upstream.len(), 40);
    fs_err::write(fixture.path("repository/note.txt"), "from http\n").unwrap();

    let note = format!("http://127.0.0.1:{port}/repository/note.txt");
    let mirror = format!("git+http://127.0.0.1:{port}/repository/upstream.git#tag=v1");
    let pkgbuild = format!(
        "pkgname=fetched\npkgver=1\npkgrel=1\narch=(any)\ndepends=(dependency)\n\
         source=('{note}' '{mirror}' local.txt)\nsha256sums=(SKIP SKIP SKIP)\n\
         package() {{ cat note.txt upstream/hello.txt local.txt; ls -a ..; \
         install -Dm644 note.txt \"$pkgdir/usr/share/note\"; }}\n"
    );
    let commit = fixture.git(
        "tree",
        &[("PKGBUILD", &pkgbuild), ("local.txt", "from here\n")],
    );
    let mut request = fixture.request("fetched", "");
    request.source = Source::Git {
        url: fixture.path("tree").display().to_string(),
        commit: commit.parse().unwrap(),
    };
    request.sources = vec![note, mirror, "local.txt".into()];
    request.dependencies = vec!["dependency".into()];
    request.repositories[0].servers = vec![format!("http://127.0.0.1:{port}/repository")];
    request.pkgrel = Some("1.1".into());
    let (packages, log) = fixture.built(&request).await;
    assert_eq!(
        packages[0].file_name.as_str(),
        "fetched-1-1.1-any.pkg.tar.zst"
    );
    for text in ["from http", "from git", "from here"] {
        assert!(log.contains(text), "{text}: {log}");
    }
}

/// No state is kept between builds: the next build downloads again what one damaged.
#[tokio::test]
async fn reports_damaged_repository_package_as_infrastructure_failure() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let library = script_package("library", "true");
    let (packages, _) = fixture.built(&fixture.request("library", &library)).await;
    fixture.publish("base", &packages);
    let served = fixture
        .path("repository")
        .join(packages[0].file_name.as_str());
    let whole = fs_err::read(&served).unwrap();
    let mut damaged = whole.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 0xff;

    let mut request = fixture.request("program", &script_package("program", "true"));
    request.dependencies = vec!["library".into()];
    for bytes in [damaged, whole[..middle].to_vec(), Vec::new()] {
        fs_err::write(&served, bytes).unwrap();
        let (kind, message, log) = fixture.fails(&request).await;
        assert_eq!(kind, FailureKind::Infrastructure, "{message} {log}");
        assert!(message.contains("pacman"), "{message} {log}");
    }
    fs_err::write(&served, whole).unwrap();
    fixture.built(&request).await;
}
