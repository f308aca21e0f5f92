//! The systemd units of the packages, checked by systemd's own tools.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use buildbtw_tests::{has_tool, printed};

/// The exposure, in tenths, above which the server's unit is not accepted.
const THRESHOLD: &str = "20";

fn packaging() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging")
}

/// Creates a root with the units, stubs of the programs that they start, and systemd's own targets.
fn root(folder: &Path) -> Vec<String> {
    let units = folder.join("usr/lib/systemd/system");
    std::fs::create_dir_all(&units).unwrap();
    let is_target = |name: &str| name.ends_with(".target") || name.ends_with(".slice");
    for entry in std::fs::read_dir("/usr/lib/systemd/system").unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if is_target(name) && path.is_file() {
            std::fs::copy(&path, units.join(name)).unwrap();
        }
    }
    let mut names = Vec::new();
    for entry in std::fs::read_dir(packaging().join("systemd")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if name.ends_with(".conf") {
            let drop_ins = units.join("buildbtw-server.service.d");
            std::fs::create_dir_all(&drop_ins).unwrap();
            std::fs::copy(&path, drop_ins.join(name)).unwrap();
            continue;
        }
        // An instance: a template alone is not loaded.
        let name = name.replace("@.", "@1.");
        std::fs::copy(&path, units.join(&name)).unwrap();
        names.push(name);
    }
    for program in [
        "bin/kill",
        "usr/bin/buildbtw-server",
        "usr/bin/buildbtw-worker",
        "usr/bin/buildbtw-executor",
    ] {
        let path = folder.join(program);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::copy("/bin/sh", path).unwrap();
    }
    names.sort();
    names
}

fn analyze(root: &Path, arguments: &[&str], unit: &str) -> Output {
    Command::new("systemd-analyze")
        .args(arguments)
        .arg(format!("--root={}", root.display()))
        .arg(unit)
        .output()
        .unwrap()
}

#[test]
fn systemd_accepts_every_unit() {
    if !has_tool("systemd-analyze") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let names = root(folder.path());
    assert_eq!(names.len(), 6, "{names:?}");
    for name in &names {
        let output = analyze(folder.path(), &["verify", "--man=no"], name);
        // Unknown settings are warnings, with a successful exit.
        let is_clean = output.status.success() && output.stderr.is_empty();
        assert!(is_clean, "{name}: {}", printed(&output));
    }
    // The check finds mistakes.
    let name = "buildbtw-executor-reap.service";
    let unit = folder.path().join("usr/lib/systemd/system").join(name);
    let text = std::fs::read_to_string(&unit).unwrap() + "\nConditionPathExist=/x\n";
    std::fs::write(&unit, text).unwrap();
    let output = analyze(folder.path(), &["verify", "--man=no"], name);
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("ConditionPathExist"), "{}", printed(&output));
}

#[test]
fn unit_of_server_is_confined() {
    if !has_tool("systemd-analyze") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    root(folder.path());
    let threshold = format!("--threshold={THRESHOLD}");
    let arguments = ["security", "--offline=true", "--no-pager", &threshold];
    let output = analyze(folder.path(), &arguments, "buildbtw-server.service");
    assert!(output.status.success(), "{}", printed(&output));
    // The check can fail: a worker has to be root.
    let output = analyze(folder.path(), &arguments, "buildbtw-worker@1.service");
    assert!(!output.status.success(), "{}", printed(&output));
}

#[test]
fn creates_group_and_folders() {
    if !has_tool("systemd-sysusers") || !has_tool("systemd-tmpfiles") || !buildbtw_tests::is_root()
    {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let etc = folder.path().join("etc/buildbtw");
    std::fs::create_dir_all(&etc).unwrap();
    std::fs::write(etc.join("gitlab-token"), "secret").unwrap();
    std::fs::write(etc.join("worker-token"), "secret").unwrap();
    for (program, kind) in [
        ("systemd-sysusers", "sysusers.d"),
        ("systemd-tmpfiles", "tmpfiles.d"),
    ] {
        let to = folder.path().join("usr/lib").join(kind);
        std::fs::create_dir_all(&to).unwrap();
        for entry in std::fs::read_dir(packaging().join(kind)).unwrap() {
            let path = entry.unwrap().path();
            std::fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
        }
        let mut command = Command::new(program);
        if program == "systemd-tmpfiles" {
            command.arg("--create");
        }
        let root = format!("--root={}", folder.path().display());
        let output = command.arg(root).output().unwrap();
        assert!(output.status.success(), "{program}: {}", printed(&output));
    }
    let groups = std::fs::read_to_string(folder.path().join("etc/group")).unwrap();
    let group = groups.lines().find(|line| line.starts_with("buildbtw:"));
    let number = group.unwrap().split(':').nth(2).unwrap();
    let owner = |file: &str| {
        use std::os::unix::fs::MetadataExt as _;
        let found = std::fs::metadata(folder.path().join(file)).unwrap();
        format!(
            "{:o} {} {}",
            found.mode() & 0o7777,
            found.uid(),
            found.gid()
        )
    };
    assert_eq!(owner("etc/buildbtw"), "755 0 0");
    assert_eq!(
        owner("etc/buildbtw/gitlab-token"),
        format!("640 0 {number}")
    );
    assert_eq!(owner("etc/buildbtw/worker-token"), "600 0 0");
    assert_eq!(owner("run/buildbtw-id-ranges"), "700 0 0");
}
