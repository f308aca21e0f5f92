//! The failure kind of each failure, with the real makepkg, pacman, curl and git.
//! `notes/failures.md` names the test of each row.

use buildbtw_builder::BuildRequest;
use buildbtw_model::FailureKind::{Infrastructure, Package};

use crate::serving::{serve, serve_nothing, serve_status};
use crate::support::{Fixture, script_package};

/// Returns a PKGBUILD of an empty package, with additional lines.
fn tiny(name: &str, lines: &str) -> String {
    format!(
        "pkgname={name}\npkgver=1.0\npkgrel=1\narch=(any)\n{lines}\n\
         package() {{ install -Dm644 /dev/null \"$pkgdir/usr/share/{name}\"; }}\n"
    )
}

/// Returns what `makepkg --printsrcinfo` writes for [`tiny`], with additional lines.
fn tiny_srcinfo(name: &str, lines: &str) -> String {
    format!(
        "pkgbase = {name}\n\tpkgver = 1.0\n\tpkgrel = 1\n\tarch = any\n{lines}\n\npkgname = {name}\n"
    )
}

fn with_srcinfo(fixture: &Fixture, name: &str, lines: &str, srcinfo: &str) -> BuildRequest {
    let files = [
        ("PKGBUILD", &*tiny(name, lines)),
        (".SRCINFO", &*tiny_srcinfo(name, srcinfo)),
    ];
    fixture.request_with(name, &files)
}

#[tokio::test]
async fn blames_package_for_exit_in_a_function_and_names_it() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let function = |name: &str, code: u32| {
        let text = script_package("ends", "true");
        match name {
            "package" => text.replace("{ install", &format!("{{ exit {code}; install")),
            "build" if code == 9 => text.replace("true", "builtin exit 9"),
            "build" => text.replace("true", &format!("exit {code}")),
            _ => text.replace("build()", &format!("{name}() {{ exit {code}; }}\nbuild()")),
        }
    };
    for (name, code) in [
        ("build", 2),
        ("build", 8),
        ("build", 15),
        ("build", 0),
        ("build", 9),
        ("prepare", 6),
        ("check", 3),
        ("package", 7),
        ("package", 13),
        ("package", 0),
        ("pkgver", 10),
    ] {
        let mut request = fixture.request("ends", &function(name, code));
        request.packages = Vec::new();
        let (kind, message, log) = fixture.fails(&request).await;
        assert_eq!(kind, Package, "{name} {code}: {message}\n{log}");
        assert!(
            message.starts_with(&format!("{name}() ended with exit code {code}")),
            "{name} {code}: {message}"
        );
    }
    let outside = format!("{}exit 11\n", function("build", 0));
    let (kind, message, _) = fixture.fails(&fixture.request("ends", &outside)).await;
    assert_eq!(kind, Package, "{message}");
    assert!(message.contains("exit code 11 in line 9"), "{message}");
}

#[tokio::test]
async fn ignores_messages_of_makepkg_printed_by_a_function() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let script = "echo '==> Making package: ends'\necho '==> ERROR: Cannot find the fakeroot binary.'\nexit 15";
    let request = fixture.request("ends", &script_package("ends", script));
    let (kind, message, _) = fixture.fails(&request).await;
    assert_eq!(kind, Package, "{message}");
    assert!(
        message.starts_with("build() ended with exit code 15"),
        "{message}"
    );
}

#[tokio::test]
async fn shows_errors_despite_output_that_imitates_makepkg() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let real = "echo 'x.c:3:5: error: REALCAUSE'";
    let decoy = "echo '==> Starting check()...'; echo 'y.c:1:1: error: DECOY'";
    let verdict = "echo '==> ERROR: A failure occurred in check().'";
    for script in [
        format!("{real}; for i in {{1..17}}; do echo '==> Starting nothing()...'; done; false"),
        format!(
            "{real}; for i in {{1..300}}; do echo \"==> Starting f$i()...\"; done; {decoy}; false"
        ),
        format!("{real}\n{decoy}\nfalse"),
        format!("{real}\n{decoy}\n{verdict}\nexit 3"),
        format!("{verdict}\n{real}\nfalse"),
        format!("{real}\n{decoy}\n{verdict}\nbuiltin exit 5"),
    ] {
        let request = fixture.request("hides", &script_package("hides", &script));
        let (kind, message, log) = fixture.fails(&request).await;
        assert_eq!(kind, Package, "{message}\n{log}");
        assert!(message.contains("REALCAUSE"), "{script}\n{message}\n{log}");
    }
}

#[tokio::test]
async fn does_not_let_a_function_shift_blame_to_makepkg() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let note = "rm -f /build/ended; printf '10\\nmain\\t/usr/bin/makepkg\\t3\\n' >/build/ended; \
                chmod 444 /build/ended; builtin exit 10";
    for (before, expected) in [
        ("true", "build() ended with exit code 10"),
        ("echo '==> ERROR: no'", "makepkg: the build failed"),
        ("echo '==> Making package: x'", "makepkg: the build failed"),
    ] {
        let script = format!("{before}\n{note}");
        let request = fixture.request("blames", &script_package("blames", &script));
        let (kind, message, log) = fixture.fails(&request).await;
        assert_eq!(kind, Package, "{before}: {message}\n{log}");
        assert!(message.starts_with(expected), "{before}: {message}\n{log}");
    }
}

#[tokio::test]
async fn blames_package_for_program_missing_in_makedepends() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    for (lines, expected) in [
        ("BUILDENV=(distcc)", "Cannot find the distcc binary"),
        (
            "INTEGRITY_CHECK=(nosuch)",
            "Cannot find the nosuchsum binary",
        ),
        // Without gettext, makepkg prints no messages.
        ("PATH=/nonexistent", "\n"),
    ] {
        let request = fixture.request("asks", &tiny("asks", lines));
        let (kind, message, log) = fixture.fails(&request).await;
        assert_eq!(kind, Package, "{lines}: {message}\n{log}");
        assert!(
            message.contains("add its package to makedepends") && message.contains(expected),
            "{lines}: {message}\n{log}"
        );
    }
}

#[tokio::test]
async fn names_line_of_syntax_error() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let broken = tiny("broken", "build() {\n  if true; then\n}");
    for srcinfo in [None, Some(tiny_srcinfo("broken", ""))] {
        let mut files = vec![("PKGBUILD", &*broken)];
        if let Some(text) = &srcinfo {
            files.push((".SRCINFO", text));
        }
        let (kind, message, _) = fixture.fails(&fixture.request_with("broken", &files)).await;
        assert_eq!(kind, Package, "{message}");
        assert!(
            message.starts_with("the PKGBUILD could not be read: line 7: syntax error"),
            "{message}"
        );
    }
    let ends_badly = format!("{}[[ a == b ]]\n", tiny("broken", ""));
    let (kind, message, _) = fixture.fails(&fixture.request("broken", &ends_badly)).await;
    assert_eq!(kind, Package, "{message}");
    assert!(message.contains("could not be read"), "{message}");
}

#[tokio::test]
async fn names_file_with_bad_checksum() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let lines = "source=(note.txt other.txt)\nsha256sums=(SKIP 0000000000000000000000000000000000000000000000000000000000000000)";
    let files = [
        ("PKGBUILD", &*tiny("sums", lines)),
        ("note.txt", "a"),
        ("other.txt", "b"),
    ];
    let (kind, message, _) = fixture.fails(&fixture.request_with("sums", &files)).await;
    assert_eq!(kind, Package, "{message}");
    assert!(message.contains("checksum"), "{message}");
    assert!(message.contains("\nother.txt ... FAILED"), "{message}");
    assert!(!message.contains("note.txt"), "{message}");
}

#[tokio::test]
async fn names_source_missing_in_the_tree() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let request = fixture.request(
        "lacks",
        &tiny("lacks", "source=(gone.patch)\nsha256sums=(SKIP)"),
    );
    let (kind, message, _) = fixture.fails(&request).await;
    assert_eq!(kind, Package, "{message}");
    assert!(message.contains("a source file is missing"), "{message}");
    assert!(message.contains("gone.patch"), "{message}");
}

#[tokio::test]
async fn blames_package_for_refused_downloads_only() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    for (status, kind) in [
        ("404 Not Found", Package),
        ("403 Forbidden", Package),
        ("410 Gone", Package),
        ("401 Unauthorized", Package),
    ] {
        let port = serve_status(status).await;
        let url = format!("http://127.0.0.1:{port}/x-1.0.tar.gz");
        let mut request = fixture.request("fetches", &tiny("fetches", ""));
        request.sources = vec![url.clone()];
        let (found, message, log) = fixture.fails(&request).await;
        assert_eq!(found, kind, "{message}\n{log}");
        assert!(
            message.contains(&url) && message.contains(&format!("HTTP status {}", &status[..3])),
            "{message}"
        );
    }
    let port = serve_nothing().await;
    for url in [
        format!("http://127.0.0.1:{port}/x.tar.gz"),
        "http://no-such-host.invalid/x.tar.gz".to_owned(),
        format!("git+http://127.0.0.1:{port}/x.git"),
    ] {
        let mut request = fixture.request("fetches", &tiny("fetches", ""));
        request.sources = vec![url.clone()];
        let (kind, message, log) = fixture.fails(&request).await;
        assert_eq!(kind, Infrastructure, "{message}\n{log}");
        assert!(
            message.contains(url.trim_start_matches("git+")),
            "{message}"
        );
    }
}

#[tokio::test]
async fn blames_package_for_missing_git_source() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    fixture.git("upstream", &[("hello.txt", "hello\n")]);
    fixture.sh("cd upstream && git update-server-info && mv .git ../repository/upstream.git");
    let port = serve(fixture.folder.path().to_owned()).await;
    for (source, expected) in [
        ("nowhere.git", "nowhere.git"),
        ("upstream.git#branch=next", "has no branch `next`"),
        ("upstream.git#tag=v9", "has no tag `v9`"),
        (
            "upstream.git#commit=1111111111111111111111111111111111111111",
            "has no commit `1111111111111111111111111111111111111111`",
        ),
    ] {
        let mut request = fixture.request("mirrors", &tiny("mirrors", ""));
        request.sources = vec![format!("git+http://127.0.0.1:{port}/repository/{source}")];
        let (kind, message, log) = fixture.fails(&request).await;
        assert_eq!(kind, Package, "{message}\n{log}");
        assert!(message.contains(expected), "{message}\n{log}");
    }
}

#[tokio::test]
async fn names_unavailable_dependency_and_its_dependent() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let (packages, _) = fixture
        .built(&fixture.request("library", &tiny("library", "")))
        .await;
    fixture.publish("base", &packages);
    let mut request = with_srcinfo(
        &fixture,
        "needy",
        "depends=(library)\nmakedepends=('nosuch>=2')",
        "\tmakedepends = nosuch>=2\n\tdepends = library",
    );
    request.dependencies = vec!["library".into(), "nosuch>=2".into()];
    let (kind, message, log) = fixture.fails(&request).await;
    assert_eq!(kind, Package, "{message}\n{log}");
    assert!(
        message.starts_with("no repository has `nosuch>=2`, on which needy depends"),
        "{message}"
    );
}

#[tokio::test]
async fn blames_package_for_missing_dependencies() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let request = fixture.request("needy", &tiny("needy", "depends=(nosuch)"));
    let (kind, message, _) = fixture.fails(&request).await;
    assert_eq!(kind, Package, "{message}");
    assert!(
        message.contains("Missing dependencies: nosuch"),
        "{message}"
    );
}

/// Builds a library whose soname changes, and two packages that pin the old one.
async fn with_a_moved_library(fixture: &Fixture) {
    let library = |version: &str| {
        tiny("libgreet", &format!("provides=(libgreet.so={version}-64)"))
            .replace("pkgver=1.0", &format!("pkgver={version}.0"))
    };
    let (packages, _) = fixture
        .built(&fixture.request("libgreet", &library("1")))
        .await;
    fixture.publish("base", &packages);
    let outsider = tiny(
        "outsider-libs",
        "pkgbase=outsider\ndepends=(libgreet.so=1-64)",
    );
    let mut request = fixture.request("outsider", &outsider);
    request.dependencies = vec!["libgreet.so=1-64".into()];
    let (packages, _) = fixture.built(&request).await;
    fixture.publish("base", &packages);
    let conflicting = tiny("rival", "conflicts=(libgreet)");
    let (packages, _) = fixture.built(&fixture.request("rival", &conflicting)).await;
    fixture.publish("base", &packages);
    let (packages, _) = fixture
        .built(&fixture.request("libgreet", &library("2")))
        .await;
    fixture.publish("rebuild", &packages);
}

fn member(fixture: &Fixture, dependencies: &[&str]) -> BuildRequest {
    let mut request = fixture.request("member", &tiny("member", ""));
    request.repositories = vec![fixture.repository("rebuild"), fixture.repository("base")];
    request.namespace_repository = Some("rebuild".parse().unwrap());
    request.dependencies = dependencies.iter().map(|&name| name.to_owned()).collect();
    request
}

#[tokio::test]
async fn names_package_that_holds_the_old_version() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    with_a_moved_library(&fixture).await;
    let (kind, message, log) = fixture
        .fails(&member(&fixture, &["outsider-libs", "libgreet"]))
        .await;
    assert_eq!(kind, Package, "{message}\n{log}");
    assert!(message.contains("outsider-libs"), "{message}\n{log}");
    assert!(
        message.contains("widen the scope or include outsider")
            && !message.contains("include outsider-libs"),
        "{message}\n{log}"
    );

    let (kind, message, log) = fixture
        .fails(&member(&fixture, &["libgreet.so=1-64"]))
        .await;
    assert_eq!(kind, Package, "{message}\n{log}");
    assert!(
        message.contains("member itself depends on `libgreet.so=1-64`"),
        "{message}\n{log}"
    );
}

#[tokio::test]
async fn explains_impossible_transaction_without_the_question() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    with_a_moved_library(&fixture).await;
    for (dependencies, expected) in [
        (["libgreet", "rival"], "are in conflict"),
        (["libgreet>=2", "outsider-libs"], "libgreet.so=1-64"),
    ] {
        let (kind, message, log) = fixture.fails(&member(&fixture, &dependencies)).await;
        assert_eq!(kind, Package, "{message}\n{log}");
        assert!(message.contains(expected), "{message}\n{log}");
        assert!(!message.contains("[y/N]"), "{message}\n{log}");
    }
}

#[tokio::test]
async fn reports_unreachable_mirror_as_infrastructure_failure() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let port = serve_status("503 Service Unavailable").await;
    let mut request = fixture.request("plain", &tiny("plain", ""));
    request.repositories = vec![fixture.repository("base")];
    request.repositories[0].servers = vec![format!("http://127.0.0.1:{port}/repository")];
    let (kind, message, _) = fixture.fails(&request).await;
    assert_eq!(kind, Infrastructure, "{message}");
}
