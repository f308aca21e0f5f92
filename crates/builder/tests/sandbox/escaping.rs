//! Hostile packages, each of which really attempts what it should not be able to do.

use std::net::TcpListener;
use std::os::unix::fs::symlink;

use buildbtw_builder::{BuildOutcome, Source, reap};
use buildbtw_model::FailureKind;
use tokio_util::sync::CancellationToken;

use crate::support::{Fixture, Log, is_running, script_package, uid_of};

#[tokio::test]
async fn isolates_build_from_network_and_host() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    let secret = fixture.path("secret");
    fs_err::write(&secret, "host secret").unwrap();
    let script = format!(
        "(: </dev/tcp/127.0.0.1/{port}) 2>/dev/null && echo NETWORK
         [[ -e {secret} || -e /etc/shadow || -n $(ls -A /home) ]] && echo HOSTFILES
         (echo x >/proc/sys/kernel/core_pattern) 2>/dev/null && echo COREPATTERN
         (touch /usr/bin/x || touch /etc/x) 2>/dev/null && echo WRITABLE
         [[ $LEAK ]] && echo LEAK
         unshare -Ur true 2>/dev/null && echo USERNS
         id",
        secret = secret.display(),
    );
    let (_, log) = fixture
        .built(&fixture.request("nosy", &script_package("nosy", &script)))
        .await;
    for word in [
        "NETWORK",
        "HOSTFILES",
        "COREPATTERN",
        "WRITABLE",
        "LEAK",
        "USERNS",
    ] {
        assert!(!log.contains(word), "{word}: {log}");
    }
    assert!(log.contains("uid=1000(builduser)"), "{log}");
    server.set_nonblocking(true).unwrap();
    assert!(server.accept().is_err(), "no connection was made");
}

const HOSTILE_INSTALL: &str = r#"post_install() {
  {
    echo "id $(id -u)"
    (echo x >/proc/sys/kernel/core_pattern) 2>/dev/null && echo COREPATTERN
    (: </dev/tcp/127.0.0.1/PORT) 2>/dev/null && echo NETWORK
    [[ -e SECRET ]] && echo HOSTFILE
    perl -e 'mkdir "/tmp/x"; chroot "/tmp/x"; chdir ".." for 1..50; chroot "."; print "ESCAPED\n" if -e "SECRET"'
    mount -t tmpfs x /mnt 2>/dev/null && echo MOUNTED
    mknod /tmp/disk b 254 0 2>/dev/null && echo DEVICE
    touch /usr/bin/ls-evil
    ln -sf /etc /build 2>/dev/null
  } >/usr/share/hostile-result 2>&1
  setsid sleep SECONDS >/dev/null 2>&1 &
}
"#;

#[tokio::test]
async fn confines_scriptlets_of_dependencies() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    let secret = fixture.path("secret");
    fs_err::write(&secret, "host secret").unwrap();
    // Other runs of these tests may be active.
    let seconds = format!("987{:07}", std::process::id());
    let install = HOSTILE_INSTALL
        .replace("PORT", &port.to_string())
        .replace("SECRET", &secret.display().to_string())
        .replace("SECONDS", &seconds);
    let pkgbuild = script_package("hostile", "true").replace("arch=", "install=x.install\narch=");
    let request = fixture.request_with(
        "hostile",
        &[("PKGBUILD", &pkgbuild), ("x.install", &install)],
    );
    let (packages, _) = fixture.built(&request).await;
    fixture.publish("base", &packages);

    let script = "cat /usr/share/hostile-result; ls -l /usr/bin/ls-evil";
    let mut victim = fixture.request("victim", &script_package("victim", script));
    victim.dependencies = vec!["hostile".into()];
    let (outcome, log) = fixture.build(&victim).await;
    assert!(
        log.contains("id 0\n"),
        "the scriptlet ran: {outcome:?} {log}"
    );
    for word in [
        "COREPATTERN",
        "NETWORK",
        "HOSTFILE",
        "ESCAPED",
        "MOUNTED",
        "DEVICE",
    ] {
        assert!(!log.contains(word), "{word}: {log}");
    }
    assert!(!std::path::Path::new("/usr/bin/ls-evil").exists());
    assert!(!is_running(&seconds));
    server.set_nonblocking(true).unwrap();
    assert!(server.accept().is_err(), "no connection was made");
}

#[tokio::test]
async fn does_not_follow_links_in_tree_and_output() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let target = fixture.path("target");
    fs_err::write(&target, script_package("linked", "true")).unwrap();
    let mut request = fixture.request("linked", "");
    let Source::Directory(folder) = &request.source else {
        unreachable!()
    };
    fs_err::remove_file(folder.join("PKGBUILD")).unwrap();
    symlink(&target, folder.join("PKGBUILD")).unwrap();
    request.pkgrel = Some("9".into());
    let (kind, message, _) = fixture.fails(&request).await;
    assert_eq!(
        (kind, &*message),
        (
            FailureKind::Package,
            "the PKGBUILD is a symlink\nhint: replace it with a regular file"
        )
    );
    assert!(
        fs_err::read_to_string(&target)
            .unwrap()
            .contains("pkgrel=1\n")
    );

    let extra = "$PKGDEST/extra-1-1-any.pkg.tar.zst";
    for trick in ["ln -s /etc/passwd", "mkfifo"] {
        let script = format!("{trick} {extra}");
        let request = fixture.request("pointer", &script_package("pointer", &script));
        let (kind, message, _) = fixture.fails(&request).await;
        assert_eq!(kind, FailureKind::Package);
        assert!(message.contains("is not a regular file"), "{message}");
    }
}

const DAEMON: &str = "setsid bash -c 'exec -a MARKER sleep 100000' >/dev/null 2>&1 &
    until pgrep -f '^MARKER' >/dev/null; do :; done
    echo the daemon is up
    sleep 100000";

#[tokio::test]
async fn kills_daemons_on_cancellation() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let marker = format!("buildbtw-daemon-{}", std::process::id());
    let script = DAEMON.replace("MARKER", &marker);
    let request = fixture.request("daemon", &script_package("daemon", &script));
    let cancel = CancellationToken::new();
    let log = Log::cancelling("the daemon is up", &cancel);
    let outcome = fixture
        .builder
        .build(&request, &fixture.path("out"), &log, cancel)
        .await;
    assert!(
        matches!(
            outcome,
            BuildOutcome::Failed {
                kind: FailureKind::Cancelled,
                ..
            }
        ),
        "{outcome:?} {}",
        log.text()
    );
    assert!(!is_running(&format!("{marker}\0")));
    fixture.assert_no_leftovers(&request);
}

/// As after the death of the program that builds: no process waits or cleans up.
#[tokio::test]
async fn kills_and_reaps_abandoned_build() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let marker = format!("buildbtw-orphan-{}", std::process::id());
    let script = DAEMON.replace("MARKER", &marker);
    let request = fixture.request("orphan", &script_package("orphan", &script));
    let up = CancellationToken::new();
    let log = Log::cancelling("the daemon is up", &up);
    let out = fixture.path("out");
    let owner = async {
        up.cancelled().await;
        uid_of(&marker)
    };
    tokio::select! {
        outcome = fixture.builder.build(&request, &out, &log, CancellationToken::new()) => {
            panic!("{outcome:?} {}", log.text());
        }
        owner = owner => {
            let first = fixture.config.uid_base + 65_536;
            assert!(owner >= first + 1000 && (owner - 1000) % 65_536 == first % 65_536, "{owner}");
        }
    }
    assert_eq!(reap(&fixture.path("scratch")).await.unwrap(), 1);
    assert!(!is_running(&format!("{marker}\0")));
    fixture.assert_no_leftovers(&request);
}

/// The supervisor is the only process that cannot be reached from inside; its death ends all
/// others.
#[tokio::test]
async fn kills_build_when_its_supervisor_is_killed() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let marker = format!("buildbtw-headless-{}", std::process::id());
    let script = DAEMON.replace("MARKER", &marker);
    let request = fixture.request("headless", &script_package("headless", &script));
    let up = CancellationToken::new();
    let log = Log::cancelling("the daemon is up", &up);
    let out = fixture.path("out");
    let build = fixture
        .builder
        .build(&request, &out, &log, CancellationToken::new());
    let killer = async {
        up.cancelled().await;
        kill_supervisor(&request.attempt.to_string());
    };
    let (outcome, ()) = tokio::join!(build, killer);
    assert!(
        matches!(
            outcome,
            BuildOutcome::Failed {
                kind: FailureKind::Infrastructure,
                ..
            }
        ),
        "{outcome:?}"
    );
    assert!(!is_running(&format!("{marker}\0")));
    fixture.assert_no_leftovers(&request);
}

/// Kills the child of this process that is outside the attempt's cgroup although its own child is
/// inside.
fn kill_supervisor(attempt: &str) {
    use nix::sys::signal::{Signal, kill};
    let cgroup_of = |pid: &str| {
        fs_err::read_to_string(format!("/proc/{pid}/cgroup"))
            .is_ok_and(|text| text.contains(attempt))
    };
    let children = fs_err::read_dir("/proc/self/task").unwrap().flatten();
    for task in children {
        let children = fs_err::read_to_string(task.path().join("children")).unwrap();
        for pid in children.split_whitespace() {
            let below = fs_err::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
            if below.is_ok_and(|below| below.split_whitespace().any(cgroup_of)) {
                let pid = nix::unistd::Pid::from_raw(pid.parse().unwrap());
                kill(pid, Signal::SIGKILL).unwrap();
                return;
            }
        }
    }
    panic!("no supervisor found");
}
