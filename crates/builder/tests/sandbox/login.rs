//! makepkg is started from a login shell, so files of dependencies in `/etc/profile.d` apply.

use std::time::Duration;

use buildbtw_builder::BuildRequest;
use buildbtw_model::{FailureKind, NetworkPolicy};

use crate::support::{Fixture, script_package};

/// Returns a package with files of `/etc`, each with a text.
fn etc_package(name: &str, files: &[(&str, &str)]) -> String {
    let mut package = String::new();
    for (file, text) in files {
        package.push_str(&format!(
            "install -Dm644 /dev/stdin \"$pkgdir/etc/{file}\" <<'END'\n{text}\nEND\n"
        ));
    }
    format!("pkgname={name}\npkgver=1\npkgrel=1\narch=(any)\npackage() {{\n{package}}}\n")
}

/// Returns a request for a package that depends on others with files in `/etc`.
async fn depending_on(
    fixture: &Fixture,
    needed: &[(&str, &[(&str, &str)])],
    script: &str,
) -> BuildRequest {
    let mut all = Vec::new();
    for (name, files) in needed {
        let (packages, _) = fixture
            .built(&fixture.request(name, &etc_package(name, files)))
            .await;
        all.extend(packages);
    }
    fixture.publish("base", &all);
    let mut request = fixture.request("user", &script_package("user", script));
    request.dependencies = needed.iter().map(|(name, _)| (*name).to_owned()).collect();
    request
}

/// Goes beyond `case_03_profile_d_of_makedepends`.
#[tokio::test]
async fn applies_profile_d_of_dependencies() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let toolkit = r#"pkgname=toolkit
pkgver=1
pkgrel=1
arch=(any)
package() {
  install -d "$pkgdir/opt/toolkit/bin" "$pkgdir/opt/perl" "$pkgdir/etc/profile.d"
  printf '#!/bin/sh\necho compiled\n' >"$pkgdir/opt/toolkit/bin/toolcc"
  printf '#!/bin/sh\necho perl tool\n' >"$pkgdir/opt/perl/perltool"
  chmod 755 "$pkgdir/opt/toolkit/bin/toolcc" "$pkgdir/opt/perl/perltool"
  cd "$pkgdir/etc/profile.d"
  printf 'export PATH="$PATH:/opt/toolkit/bin"\nexport TOOLKIT_HOME=/opt/toolkit\n' >toolkit.sh
  printf 'append_path /opt/perl\nset -- a b\ntrue && [ -n "" ] && export NEVER=1\necho a banner\n' >perlbin.sh
  printf 'export MAKEFLAGS=-j99 PKGDEST=/nowhere SOURCE_DATE_EPOCH=1 PACKAGER=x BUILDDIR=/tmp\n' >wrong.sh
  printf 'exit 9\n' >not-read.csh
}
"#;
    let (packages, _) = fixture.built(&fixture.request("toolkit", toolkit)).await;
    fixture.publish("base", &packages);
    let script = "toolcc; perltool; echo \"home $TOOLKIT_HOME\"\n\
         echo \"own $MAKEFLAGS $PKGDEST $SOURCE_DATE_EPOCH $BUILDDIR\"";
    // Its version is printed by a program that only the login shell finds.
    let pkgbuild =
        script_package("usestool", script).replace("pkgver=1.0\n", "pkgver=$(toolcc | wc -w).0\n");
    let srcinfo = "pkgbase = usestool\n\tpkgver = 1.0\n\tpkgrel = 1\n\tarch = x86_64\n\n\
         pkgname = usestool\n";
    let files = [("PKGBUILD", &*pkgbuild), (".SRCINFO", srcinfo)];
    let mut request = fixture.request_with("usestool", &files);
    request.dependencies = vec!["toolkit".into()];
    let (_, log) = fixture.built(&request).await;
    for line in [
        "compiled",
        "perl tool",
        "home /opt/toolkit",
        "own -j2 /pkgdest 1700000000 /build",
    ] {
        assert!(log.lines().any(|found| found == line), "{line}: {log}");
    }
}

/// The host's own files would make packages differ from one worker to the next.
#[tokio::test]
async fn ignores_profile_files_of_the_host() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let script = "ls -A /etc/profile.d | sed 's/^/profile.d: /'; grep -c append_path /etc/profile";
    let request = fixture.request("plain", &script_package("plain", script));
    let (_, log) = fixture.built(&request).await;
    assert!(!log.contains("profile.d: "), "{log}");
}

#[tokio::test]
async fn uses_profile_of_a_dependency_instead_of_the_default() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let profile = "export PATH=/usr/local/bin:/usr/bin OWN_PROFILE=yes";
    let needed: &[(&str, &str)] = &[("profile", profile)];
    let script = "echo \"own $OWN_PROFILE path $PATH\"";
    let request = depending_on(&fixture, &[("filesystem", needed)], script).await;
    let (_, log) = fixture.built(&request).await;
    let line = "own yes path /usr/local/bin:/usr/bin";
    assert!(log.lines().any(|found| found == line), "{log}");
}

#[tokio::test]
async fn names_profile_file_that_exits_and_its_package() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let fine: &[(&str, &str)] = &[("profile.d/a.sh", "export FINE=1"), ("profile.d/z.sh", ":")];
    let script = "echo BUILT";
    for (number, (text, code)) in [("exit 3", 3), ("set -e; false", 1), ("exec true", 0)]
        .into_iter()
        .enumerate()
    {
        let name = format!("bad{number}");
        let files: &[(&str, &str)] = &[("profile.d/m.sh", text)];
        let request = depending_on(&fixture, &[("fine", fine), (&name, files)], script).await;
        let (kind, message, log) = fixture.fails(&request).await;
        assert_eq!(kind, FailureKind::Package, "{message}");
        let start =
            format!("/etc/profile.d/m.sh of {name} ended the login shell with exit code {code}");
        assert!(message.starts_with(&start), "{message}");
        assert!(!log.contains("BUILT"), "{log}");
    }
}

#[tokio::test]
async fn names_profile_file_that_sets_errexit() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let strict: &[(&str, &str)] = &[("profile.d/strict.sh", "set -e\n:")];
    let usual: &[(&str, &str)] = &[("profile.d/usual.sh", "[ -n \"$NOT_SET\" ] && export X=1")];
    let request = depending_on(&fixture, &[("strict", strict), ("usual", usual)], ":").await;
    let (kind, message, _) = fixture.fails(&request).await;
    assert_eq!(kind, FailureKind::Package);
    assert!(
        message.starts_with("/etc/profile.d/usual.sh of usual ended"),
        "{message}"
    );
    let other = "/etc/profile.d/strict.sh of strict has `set -e`";
    assert!(message.contains(other), "{message}");
}

#[tokio::test]
async fn names_hanging_profile_file_in_bounded_time() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    for (name, text) in [
        ("waits", "sleep 1000"),
        ("loops", "while :; do :; done"),
        ("writes", "while :; do echo on and on; done"),
        (
            "hides",
            "trap '' TERM INT HUP; (setsid sleep 1000 &); sleep 1000",
        ),
    ] {
        let files: &[(&str, &str)] = &[("profile.d/endless.sh", text)];
        let mut request = depending_on(&fixture, &[(name, files)], "echo BUILT").await;
        request.limits.silence = Duration::from_secs(15);
        request.limits.log_bytes = u64::MAX;
        let (kind, message, log) = fixture.fails(&request).await;
        assert_eq!(kind, FailureKind::Package, "{message}");
        let start = format!("/etc/profile.d/endless.sh of {name} did not finish within 1 s");
        assert!(message.starts_with(&start), "{message}");
        assert!(message.contains("hint: "), "{message}");
        assert!(!log.contains("BUILT"), "{log}");
    }
}

#[tokio::test]
async fn tolerates_broken_profile_file_that_shells_skip() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let files: &[(&str, &str)] = &[
        ("profile.d/syntax.sh", "if"),
        ("profile.d/unknown.sh", "no-such-command --at-all"),
    ];
    let request = depending_on(&fixture, &[("broken", files)], "echo BUILT").await;
    let (_, log) = fixture.built(&request).await;
    assert!(log.contains("BUILT"), "{log}");
}

/// A file of a dependency can read what `prepare()` left, before the second run.
#[tokio::test]
async fn names_profile_file_that_reads_leftovers_of_prepare() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let files: &[(&str, &str)] = &[("profile.d/own.sh", "[ -r ~/.ownrc ] && . ~/.ownrc")];
    let mut request = depending_on(&fixture, &[("own", files)], "echo BUILT").await;
    for (left, part) in [
        ("exit 5", "ended the login shell with exit code 5"),
        ("while :; do :; done", "did not finish within 1 s"),
    ] {
        let functions = format!("echo BUILT\n}}\nprepare() {{\necho '{left}' >~/.ownrc");
        request.source =
            fixture.source("user", &[("PKGBUILD", &script_package("user", &functions))]);
        request.network = NetworkPolicy::Prepare;
        request.limits.silence = Duration::from_secs(15);
        request.attempt = buildbtw_model::AttemptId::new();
        let (kind, message, log) = fixture.fails(&request).await;
        assert_eq!(kind, FailureKind::Package, "{message}");
        assert!(
            message.starts_with("/") && message.contains(part),
            "{message}"
        );
        assert!(!log.contains("BUILT"), "{log}");
    }
}
