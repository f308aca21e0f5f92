//! More attacks: by a package that another build installs, by the files left as packages, and by a
//! build on a concurrent one.

use buildbtw_model::FailureKind;
use tokio_util::sync::CancellationToken;

use crate::support::{Fixture, Log, expected, script_package};

/// Tries to write every file below the folders of kernel settings, as the current user.
const PROBE_KERNEL: &str = r#"
    for file in $(find /proc/sys /sys -type f 2>/dev/null) /proc/sysrq-trigger /proc/kcore; do
      (: >>"$file") 2>/dev/null && echo "OPENED $file"
    done
    [[ -e /dev/mem || -e /dev/kmsg || -e /dev/kvm ]] && echo OPENED a device
    cat /proc/kcore 2>/dev/null | head -c 1 | grep -q . && echo KCORE
    true"#;

const HOOK: &str = "[Trigger]
Operation = Install
Type = Package
Target = *
[Action]
When = PostTransaction
Exec = /usr/share/hooked/run
";

/// pacman runs hooks as its own user, root of the sandbox, when a dependency is installed.
#[tokio::test]
async fn confines_hooks_of_dependencies() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let secret = fixture.path("secret");
    fs_err::write(&secret, "host secret").unwrap();
    let run = format!(
        r#"#!/bin/bash
        exec >/usr/share/hooked-result 2>&1
        echo "hook ran as $(id -u)"
        {PROBE_KERNEL}
        [[ -e {secret} ]] && echo HOSTFILE
        mount -t tmpfs x /mnt 2>/dev/null && echo MOUNTED
        mount -o remount,rw /proc/sys 2>/dev/null && echo REMOUNTED
        nsenter -t 1 -m true 2>/dev/null && [[ -e {secret} ]] && echo ENTERED
        for pid in /proc/[0-9]*; do [[ -e $pid/root/{secret} ]] && echo ESCAPED; done
        true
        "#,
        secret = secret.display()
    );
    let pkgbuild = "pkgname=hooked\npkgver=1.0\npkgrel=1\narch=(x86_64)\n\
         package() {\n\
         install -Dm644 \"$startdir/evil.hook\" \"$pkgdir/usr/share/libalpm/hooks/evil.hook\"\n\
         install -Dm755 \"$startdir/run\" \"$pkgdir/usr/share/hooked/run\"\n}\n";
    let request = fixture.request_with(
        "hooked",
        &[("PKGBUILD", pkgbuild), ("evil.hook", HOOK), ("run", &run)],
    );
    let (packages, _) = fixture.built(&request).await;
    fixture.publish("base", &packages);

    let script = format!("cat /usr/share/hooked-result\n{PROBE_KERNEL}");
    let mut victim = fixture.request("victim", &script_package("victim", &script));
    victim.dependencies = vec!["hooked".into()];
    let (_, log) = fixture.built(&victim).await;
    assert!(log.contains("hook ran as 0\n"), "{log}");
    for word in [
        "OPENED",
        "KCORE",
        "HOSTFILE",
        "MOUNTED",
        "REMOUNTED",
        "ENTERED",
        "ESCAPED",
    ] {
        assert!(!log.contains(word), "{word}: {log}");
    }
    assert!(!std::path::Path::new("/usr/share/hooked-result").exists());
}

/// Returns a handmade package, with metadata and content that makepkg would reject.
fn forged(file: &str, pkginfo: &str, members: &str) -> String {
    format!(
        "mkdir -p \"$srcdir/forge\"; cd \"$srcdir/forge\"; {members}
         printf '{pkginfo}' >.PKGINFO
         bsdtar -P -cf - --format=pax .PKGINFO $(ls -A | grep -v PKGINFO) $EXTRA | zstd -q >\"$PKGDEST/{file}\""
    )
}

#[tokio::test]
async fn rejects_names_that_escape_the_folder() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let names = [
        "pkgname='../../../../tmp/evil'",
        "pkgbase=named\npkgname=('named' '../evil')",
    ];
    for name in names {
        let pkgbuild = script_package("named", "true").replace("pkgname=named", name);
        let (kind, message, _) = fixture.fails(&fixture.request("named", &pkgbuild)).await;
        assert_eq!(kind, FailureKind::Package, "{message}");
    }
    for trick in [
        "touch $PKGDEST/..-1-1-any.pkg.tar.zst",
        "touch \"$PKGDEST/..%2f..%2fevil-1-1-any.pkg.tar.zst\"",
        "touch \"$PKGDEST/$(printf 'new\\nline-1-1-any.pkg.tar.zst')\"",
        "mkdir -p $PKGDEST/evil-1-1-any.pkg.tar.zst/below",
        "touch $PKGDEST/evil",
    ] {
        let request = fixture.request("named", &script_package("named", trick));
        let (kind, message, log) = fixture.fails(&request).await;
        assert_eq!(kind, FailureKind::Package, "{trick}: {message} {log}");
        assert!(!message.contains('\n'), "{message}");
    }
    assert_eq!(
        fs_err::read_dir(fixture.path("out")).unwrap().count(),
        0,
        "no file was collected"
    );
}

#[tokio::test]
async fn rejects_contradicting_pkginfo() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let file = "liar-extra-1.0-1-x86_64.pkg.tar.zst";
    let truth = [
        ("pkgname", "liar-extra"),
        ("pkgbase", "liar"),
        ("pkgver", "1.0-1"),
        ("arch", "x86_64"),
    ];
    for (key, lie) in [
        ("pkgname", "glibc"),
        ("pkgver", "99:1-1"),
        ("arch", "any"),
        ("pkgbase", "pacman"),
    ] {
        let pkginfo: String = truth
            .iter()
            .map(|(name, value)| {
                let value = if *name == key { lie } else { value };
                format!("{name} = {value}\\n")
            })
            .collect();
        let script = forged(file, &pkginfo, "");
        let mut request = fixture.request("liar", &script_package("liar", &script));
        request.packages = vec![expected("liar", "x86_64"), expected("liar-extra", "x86_64")];
        let (kind, message, log) = fixture.fails(&request).await;
        assert_eq!(kind, FailureKind::Package);
        assert!(
            message.contains(file) && message.contains(&format!("{key} = \"{lie}\"")),
            "{message} {log}"
        );
    }
}

/// The archive itself names files above its root, and a device: it is only installed inside a
/// sandbox.
#[tokio::test]
async fn confines_archive_members_above_the_root_and_devices() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let marker = format!("buildbtw-evil-{}", std::process::id());
    let pkginfo = "pkgname = forged\\npkgbase = forged\\npkgver = 1.0-1\\narch = x86_64\\nsize = 1\\nbuilddate = 1\\n";
    let members = format!(
        "EXTRA=../../../../../../../../../tmp/{marker}
         touch /tmp/{marker}
         mkdir -p usr/share
         ln -s ../../../../../../../../tmp usr/share/up"
    );
    let forge = forged("forged-1.0-1-x86_64.pkg.tar.zst", pkginfo, &members);
    // In place of the package that makepkg would build, so that only the forged one exists.
    let pkgbuild = format!(
        "pkgname=maker\npkgver=1.0\npkgrel=1\narch=(x86_64)\n\
         build() {{\n{forge}\n}}\n\
         package() {{\n\
         mkdir -p \"$pkgdir/usr/share\"\n\
         mknod \"$pkgdir/usr/share/disk\" b 254 0\n\
         mkfifo \"$pkgdir/usr/share/pipe\"\n}}\n"
    );
    let mut request = fixture.request("maker", &pkgbuild);
    // Unmodified: below, a victim installs both as if they were published.
    request.pkgbase = "maker".parse().unwrap();
    let (outcome, log) = fixture.build(&request).await;
    let refused = format!("{outcome:?}");
    assert!(refused.contains("pkgbase"), "{outcome:?} {log}");

    // The same package file, passed to pacman as if it were published.
    let with_device = pkgbuild.replace(&forge, "true");
    let (packages, _) = fixture.built(&fixture.request("maker", &with_device)).await;
    fixture.publish("base", &packages);
    fixture.sh(&format!(
        "mkdir forge forge/f forge/tmp; cd forge/f; printf '{pkginfo}' >.PKGINFO
         touch ../tmp/{marker}; mkdir -p usr/share; ln -s ../../../../../../tmp usr/share/up
         bsdtar -P -cf - --format=pax .PKGINFO usr ../tmp/{marker} \
           | zstd -q >../../repository/forged-1.0-1-x86_64.pkg.tar.zst
         cd ../../repository; repo-add -q base.db.tar.gz forged-1.0-1-x86_64.pkg.tar.zst"
    ));
    let script =
        "[[ -b /usr/share/disk ]] && head -c 1 /usr/share/disk >/dev/null && echo DISK; true";
    for dependency in ["maker", "forged"] {
        let mut victim = fixture.request("victim", &script_package("victim", script));
        victim.dependencies = vec![dependency.into()];
        let (outcome, log) = fixture.build(&victim).await;
        assert!(!log.contains("DISK"), "{outcome:?} {log}");
    }
    for folder in ["/tmp", "/", "/usr", "/usr/share"] {
        assert!(!std::path::Path::new(folder).join(&marker).exists());
    }
}

/// Two builds run concurrently; neither sees a file, a process or a socket of the other.
#[tokio::test]
async fn isolates_concurrent_builds() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let marker = format!("buildbtw-neighbour-{}", std::process::id());
    let neighbour = format!(
        "touch /tmp/{marker} /build/{marker}
         perl -MIO::Socket::INET -MIO::Socket::UNIX -e '
           $tcp = IO::Socket::INET->new(Listen => 1, LocalAddr => \"127.0.0.1:45871\") or die $!;
           $abstract = IO::Socket::UNIX->new(Listen => 1, Local => \"\\0{marker}\") or die $!;
           $| = 1; print \"the neighbour is up\\n\"; sleep 100000' {marker}"
    );
    let neighbour = fixture.request("neighbour", &script_package("neighbour", &neighbour));
    let up = CancellationToken::new();
    let cancel = CancellationToken::new();
    let log = Log::cancelling("the neighbour is up", &up);
    let out = fixture.path("out");
    let building = fixture
        .builder
        .build(&neighbour, &out, &log, cancel.clone());
    let spying = async {
        up.cancelled().await;
        let script = format!(
            "find / -name '*{marker}*' 2>/dev/null | grep -q . && echo FILE
             cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n' | grep -q '^buildbtw-neigh[b]our' && echo PROCESS
             (: </dev/tcp/127.0.0.1/45871) 2>/dev/null && echo CONNECTED
             perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Peer => \"\\0{marker}\") and print \"ABSTRACT\\n\"'
             kill -9 -- $(pgrep -f 'neigh[b]our') 2>/dev/null && echo KILLED
             ipcs -a 2>/dev/null | grep -q 0x && echo IPC
             true"
        );
        let spy = fixture.request("spy", &script_package("spy", &script));
        let log = Log::default();
        let outcome = fixture
            .builder
            .build(&spy, &fixture.path("out"), &log, CancellationToken::new())
            .await;
        cancel.cancel();
        (outcome, log.text())
    };
    let (_, (outcome, spied)) = tokio::join!(building, spying);
    assert!(
        matches!(outcome, buildbtw_builder::BuildOutcome::Succeeded { .. }),
        "{outcome:?} {spied}"
    );
    for word in [
        "FILE\n",
        "PROCESS",
        "CONNECTED",
        "ABSTRACT",
        "KILLED",
        "IPC\n",
    ] {
        assert!(!spied.contains(word), "{word}: {spied}\n{}", log.text());
    }
    fixture.assert_no_leftovers(&neighbour);
}
