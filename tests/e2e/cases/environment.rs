//! The environment of a build.

use buildbtw_builder::{Builder, SandboxConfig};
use buildbtw_tests::{Server, Sources, Worker, cli, printed};

use super::support::{built, can_build, has_line, input, new, owners, publish};

#[test]
fn case_01_fakeroot_chown_in_userns() {
    if !can_build() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (packages, log) = built(folder.path(), "01-fakeroot-chown-in-userns/owner", &[]);
    assert!(!log.contains("FAIL"), "{log}");
    assert_eq!(log.matches("OK: ").count(), 14, "{log}");
    let found = owners(&packages[0]);
    for (name, expected) in [
        ("a", (0, 0)),
        ("a/b/f", (123, 456)),
        ("a/b/g", (0, 0)),
        ("a/b/pw", (0, 0)),
        ("a/http", (33, 33)),
        ("a/etc/passwd", (0, 0)),
        ("a/u", (1234, 1234)),
    ] {
        assert_eq!(found.get(name), Some(&expected), "{name}: {found:?}\n{log}");
    }

    let (packages, log) = built(folder.path(), "01-fakeroot-chown-in-userns/debbin", &[]);
    let found = owners(&packages[0]);
    for name in ["opt", "opt/app", "opt/app/x"] {
        assert_eq!(found.get(name), Some(&(0, 0)), "{name}: {found:?}\n{log}");
    }
}

#[test]
fn case_03_profile_d_of_makedepends() {
    if !can_build() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (packages, _) = built(folder, "03-profile-d-of-makedepends/toolkit", &[]);
    let base = publish(folder, &packages);
    let (_, log) = built(folder, "03-profile-d-of-makedepends/usestool", &[&base]);
    for line in ["TOOLKIT_HOME=/opt/toolkit", "compiled"] {
        assert!(has_line(&log, line), "{line}: {log}");
    }
}

#[test]
fn case_04_everything_is_written_to_memory() {
    if !can_build() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let scratch = folder.path().join("scratch");
    // Files of builds that are kept in memory count as memory.
    if let Some(why) = Builder::sandboxed(SandboxConfig::new(scratch.clone())).warning() {
        eprintln!("SKIPPED: {why}");
        return;
    }
    let sources = Sources::new(folder.path());
    sources.commit_folder(
        "bigwrite",
        &input("04-everything-is-written-to-memory/bigwrite"),
    );
    let server = Server::start_with_lease(folder.path(), &sources, 60);
    let limits = ["--limit-disk-mib=4096", "--limit-memory-mib=512"];
    let _worker = Worker::sandboxed_and(&server, &scratch, &limits);
    let (code, text) = new(&server, "big", &["bigwrite/main"]);
    let log = printed(&cli(&server, &["logs", "big", "bigwrite"]));
    assert_eq!(code, Some(0), "{text}\n{log}");
    assert!(has_line(&log, "wrote 7"), "{log}");
    // The output of `df` for the folder.
    assert!(
        log.lines().any(|line| line.starts_with("/dev/loop")),
        "{log}"
    );
}

#[test]
fn case_17_own_host_name_unknown() {
    if !can_build() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (_, log) = built(folder.path(), "17-own-host-name-unknown/hostname", &[]);
    let resolved = ["127.0.0.1", "::1"].map(|address| format!("{address}\nHOST-OK\n"));
    assert!(resolved.iter().any(|lines| log.contains(lines)), "{log}");
    assert!(!log.contains("HOST-FAIL"), "{log}");
}

#[test]
fn case_19_ca_certificates_claimed_but_absent() {
    if !can_build() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    // check() fails without the bundle.
    let path = "19-ca-certificates-claimed-but-absent/cacheck";
    let (_, log) = built(folder.path(), path, &[]);
    let loaded = log.lines().find_map(|line| line.strip_prefix("CAs "));
    let loaded: u32 = loaded.unwrap().parse().unwrap();
    assert!(loaded > 0, "{log}");
}
