//! Where the files of builds are stored, and what happens when there is no space for them.

use std::path::{Path, PathBuf};

use buildbtw_builder::{Builder, ScratchDisk};
use buildbtw_model::FailureKind;
use nix::mount::{MsFlags, mount, umount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use tokio_util::sync::CancellationToken;

use crate::support::{Fixture, Log, chmod, script_package};

const KIND: &str = "echo \"the files lie on $(stat -f -c %T .)\"";

fn set(fixture: &mut Fixture, kind: ScratchDisk) {
    fixture.config.scratch_disk = kind;
    fixture.builder = Builder::sandboxed(fixture.config.clone());
}

/// Returns `None`, and prints the reason, where images cannot be created.
fn fixture_with_images() -> Option<Fixture> {
    let fixture = Fixture::new()?;
    if let Some(why) = fixture.builder.warning() {
        eprintln!("SKIPPED: {why}");
        return None;
    }
    Some(fixture)
}

/// Returns the backing files of loop devices, as far as they are below the folder.
fn images_below(folder: &Path) -> Vec<PathBuf> {
    let devices = fs_err::read_dir("/sys/block").unwrap().flatten();
    devices
        .filter_map(|device| fs_err::read_to_string(device.path().join("loop/backing_file")).ok())
        .map(|file| PathBuf::from(file.trim()))
        .filter(|file| file.starts_with(folder))
        .collect()
}

/// Waits until the kernel has unmounted the file systems of exited processes.
async fn eventually_without_images(folder: &Path) {
    let wait = async {
        while !images_below(folder).is_empty() {
            tokio::task::yield_now().await;
        }
    };
    let patience = std::time::Duration::from_secs(60);
    tokio::time::timeout(patience, wait).await.unwrap();
}

#[tokio::test]
async fn stores_build_files_on_disk_instead_of_memory() {
    let Some(fixture) = fixture_with_images() else {
        return;
    };
    let script = format!(
        "{KIND}; for i in 1 2 3; do head -c 100M /dev/zero >f$i; echo wrote $i; done; ls -s f1"
    );
    let mut request = fixture.request("bigwrite", &script_package("bigwrite", &script));
    request.limits.memory_bytes = 128 << 20;
    request.limits.disk_bytes = 4 << 30;
    let (_, log) = fixture.built(&request).await;
    assert!(log.contains("wrote 3"), "{log}");
    assert!(log.contains("the files lie on ext2/ext3"), "{log}");
    assert!(!log.contains("in memory"), "{log}");
    eventually_without_images(&fixture.path("scratch")).await;
}

/// A tool that removes what it could not finish leaves an empty disk.
#[tokio::test]
async fn names_disk_limit_after_full_disk() {
    let Some(fixture) = fixture_with_images() else {
        return;
    };
    let script = "head -c 200M /dev/zero >fat || { rm fat; false; }";
    let mut request = fixture.request("tidy", &script_package("tidy", script));
    request.limits.disk_bytes = 64 << 20;
    let (kind, message, log) = fixture.fails(&request).await;
    assert_eq!(kind, FailureKind::Package, "{message} {log}");
    assert!(
        message.contains("disk limit of 67108864 bytes"),
        "{message} {log}"
    );

    // Files within the limit still fit.
    let script = "head -c 40M /dev/zero >fat; head -c 30M /dev/zero >/dev/shm/fat; exit 3";
    let mut request = fixture.request("slim", &script_package("slim", script));
    request.limits.disk_bytes = 64 << 20;
    let (kind, message, log) = fixture.fails(&request).await;
    assert_eq!(kind, FailureKind::Package, "{message} {log}");
    assert!(!message.contains("disk limit"), "{message} {log}");

    // A disk other than the scratch disk.
    let script = "head -c 300M /dev/zero >/dev/shm/fat";
    let request = fixture.request("other", &script_package("other", script));
    let (_, message, log) = fixture.fails(&request).await;
    assert!(message.contains("No space left"), "{message} {log}");
    assert!(!message.contains("disk limit"), "{message} {log}");
}

#[tokio::test]
async fn stores_build_files_in_memory_when_configured() {
    let Some(mut fixture) = Fixture::new() else {
        return;
    };
    set(&mut fixture, ScratchDisk::Memory);
    assert_eq!(fixture.builder.warning(), None);
    let request = fixture.request("quick", &script_package("quick", KIND));
    let (_, log) = fixture.built(&request).await;
    assert!(log.contains("the files lie on tmpfs"), "{log}");
    assert!(log.contains("files of the build in memory"), "{log}");

    let fat = script_package("fat", "head -c 200M /dev/zero >fat");
    let mut request = fixture.request("fat", &fat);
    request.limits.disk_bytes = 64 << 20;
    let (kind, message, log) = fixture.fails(&request).await;
    assert_eq!(kind, FailureKind::Package, "{message} {log}");
    assert!(
        message.contains("disk limit of 67108864 bytes"),
        "{message} {log}"
    );
}

/// As in a container without devices: the helper sees another file in their place.
#[tokio::test]
async fn uses_memory_or_fails_without_loop_devices() {
    let Some(mut fixture) = fixture_with_images() else {
        return;
    };
    let helper = fixture.path("helper");
    let text = format!(
        "#!/bin/bash\nexec unshare --mount --propagation private bash -c \
         'mount --bind /dev/null /dev/loop-control && exec {} \"$@\"' helper \"$@\"\n",
        fixture.config.helper.display()
    );
    fs_err::write(&helper, text).unwrap();
    chmod(&helper, 0o755);
    fixture.config.helper = helper;
    set(&mut fixture, ScratchDisk::Auto);
    let request = fixture.request("poor", &script_package("poor", KIND));
    let (_, log) = fixture.built(&request).await;
    assert!(log.contains("the files lie on tmpfs"), "{log}");
    assert!(
        log.contains("in memory") && log.contains("no loop device"),
        "{log}"
    );

    set(&mut fixture, ScratchDisk::Image);
    let request = fixture.request("strict", &script_package("strict", KIND));
    let (kind, message, log) = fixture.fails(&request).await;
    assert_eq!(kind, FailureKind::Infrastructure, "{message} {log}");
    assert!(message.contains("no loop device"), "{message} {log}");
}

#[tokio::test]
async fn rejects_images_in_a_tmpfs_scratch_folder() {
    let Some(mut fixture) = Fixture::new() else {
        return;
    };
    // For this thread and its children only.
    unshare(CloneFlags::CLONE_NEWNS).unwrap();
    make_mounts_private();
    let scratch = fixture.path("scratch");
    fs_err::create_dir_all(&scratch).unwrap();
    mount(
        Some("t"),
        &scratch,
        Some("tmpfs"),
        MsFlags::empty(),
        None::<&str>,
    )
    .unwrap();
    set(&mut fixture, ScratchDisk::Auto);
    let warning = fixture.builder.warning().unwrap();
    assert!(warning.contains("in memory"), "{warning}");
    let request = fixture.request("light", &script_package("light", KIND));
    let (_, log) = fixture.built(&request).await;
    assert!(log.contains("the files lie on tmpfs"), "{log}");
    let attempt = scratch.join(request.attempt.to_string());
    assert!(
        log.contains(&format!("{} is in memory", attempt.display())),
        "{log}"
    );
    umount(&scratch).unwrap();
}

fn make_mounts_private() {
    let flags = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None::<&str>, "/", None::<&str>, flags, None::<&str>).unwrap();
}

/// The processes of the build do not notice that their writes are lost.
#[tokio::test]
async fn reports_full_disk_of_the_host_as_infrastructure_failure() {
    let Some(mut fixture) = fixture_with_images() else {
        return;
    };
    unshare(CloneFlags::CLONE_NEWNS).unwrap();
    make_mounts_private();
    let scratch = fixture.path("scratch");
    fs_err::create_dir_all(&scratch).unwrap();
    let small = Some("size=24m");
    mount(Some("t"), &scratch, Some("tmpfs"), MsFlags::empty(), small).unwrap();
    set(&mut fixture, ScratchDisk::Image);
    let warning = fixture.builder.warning().unwrap();
    assert!(warning.contains("themselves in memory"), "{warning}");
    for script in [
        "head -c 60M /dev/urandom >fat; echo it is all there",
        "head -c 60M /dev/urandom >fat; exit 3",
    ] {
        let request = fixture.request("fat", &script_package("fat", script));
        let (kind, message, log) = fixture.fails(&request).await;
        assert_eq!(kind, FailureKind::Infrastructure, "{message} {log}");
        assert!(
            message.contains("the disk of the worker is full"),
            "{message} {log}"
        );
        assert!(
            fs_err::read_dir(fixture.path("out"))
                .unwrap()
                .next()
                .is_none()
        );
    }
    umount(&scratch).unwrap();
}

#[tokio::test]
async fn removes_image_of_a_killed_build() {
    let Some(fixture) = fixture_with_images() else {
        return;
    };
    let script = "head -c 20M /dev/zero >fat; echo it is there; sleep 100000";
    let request = fixture.request("killed", &script_package("killed", script));
    let up = CancellationToken::new();
    let log = Log::cancelling("it is there", &up);
    let (scratch, out) = (fixture.path("scratch"), fixture.path("out"));
    let build = fixture
        .builder
        .build(&request, &out, &log, CancellationToken::new());
    let killer = async {
        up.cancelled().await;
        assert_eq!(images_below(&scratch).len(), 1);
        let folder = scratch.join(request.attempt.to_string());
        let mut named: Vec<_> = fs_err::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| !["cgroup", "lock"].contains(&&**name))
            .collect();
        assert_eq!(named.pop(), None, "files with a name stay");
        for helper in helpers_of(&request.attempt.to_string()) {
            // The second process may have exited with the first.
            let _ = kill(helper, Signal::SIGKILL);
        }
    };
    let (outcome, ()) = tokio::join!(build, killer);
    assert!(!outcome.is_success(), "{outcome:?}");
    eventually_without_images(&scratch).await;
    fixture.assert_no_leftovers(&request);
}

/// Returns the processes in the attempt's cgroups.
fn helpers_of(attempt: &str) -> Vec<nix::unistd::Pid> {
    let processes = fs_err::read_dir("/proc").unwrap().flatten();
    processes
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| {
            let read = |file: &str| fs_err::read_to_string(format!("/proc/{pid}/{file}"));
            read("cgroup").is_ok_and(|text| text.contains(attempt))
        })
        .map(nix::unistd::Pid::from_raw)
        .collect()
}
