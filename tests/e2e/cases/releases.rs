//! The release of a rebuild.

use std::path::Path;
use std::process::Command;

use buildbtw_tests::{
    PreviousDistribution, Process, Server, Sources, Worker, cli, file_in, git, printed,
};

use super::support::{LOOPBACK, built, can_build, file_name, in_own_network, input, new, publish};

/// Creates two repositories as the PKGBUILD of the case expects them, `vcs` at its second revision.
fn upstream(folder: &Path) {
    for (name, file) in [("sub", "s"), ("vcs", "v")] {
        let repository = folder.join(name);
        std::fs::create_dir_all(&repository).unwrap();
        git(&repository, &["init", "--quiet", "--initial-branch=main"]);
        std::fs::write(repository.join(file), "one\n").unwrap();
        git(&repository, &["add", "--all"]);
        git(&repository, &["commit", "--quiet", "--message=one"]);
    }
    let vcs = folder.join("vcs");
    let sub = folder.join("sub").display().to_string();
    let add = ["submodule", "--quiet", "add", "--name", "dep", &sub, "dep"];
    let local = ["-c", "protocol.file.allow=always"];
    git(&vcs, &[&local[..], &add].concat());
    git(&vcs, &["commit", "--quiet", "--message=two"]);
}

/// Starts git's own server on the port that the PKGBUILD names.
fn serve(folder: &Path) -> Process {
    let path = Command::new("git").arg("--exec-path").output().unwrap();
    let path = String::from_utf8(path.stdout).unwrap();
    // The program itself: `git daemon` would leave it running.
    let mut daemon = Command::new(Path::new(path.trim()).join("git-daemon"));
    let options = ["--export-all", "--verbose", "--listen=127.0.0.1"];
    daemon.args(options).arg("--port=23419");
    daemon.arg(format!("--base-path={}", folder.display()));
    let mut process = Process::start("git-daemon", &mut daemon);
    process.wait_for_line("Ready to rumble");
    process
}

#[test]
fn case_05_vcs_pkgver_drops_the_bump() {
    if !can_build() {
        return;
    }
    in_own_network(|| {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        upstream(&folder.join("upstream"));
        let _daemon = serve(&folder.join("upstream"));

        // The version in base was computed by the same pkgver().
        let case = "05-vcs-pkgver-drops-the-bump";
        let (packages, _) = built(folder, &format!("{case}/lowlib"), &[]);
        let base = publish(folder, &packages);
        let more = [&LOOPBACK[..], &[base.as_str()]].concat();
        let (packages, log) = built(folder, &format!("{case}/vcs"), &more);
        let old_name = file_name(&packages[0]);
        let old_version = old_name.strip_prefix("vcs-git-").unwrap();
        let old_version = old_version.strip_suffix("-any.pkg.tar.zst").unwrap();
        assert!(
            old_version.starts_with("r2.") && old_version.ends_with("-1"),
            "{old_version}\n{log}"
        );
        let old = PreviousDistribution::in_folder(folder, &folder.join("out"));

        let sources = Sources::new(folder);
        sources.commit_folder("lowlib", &input(&format!("{case}/lowlib")));
        sources.commit_folder("vcs-git", &input(&format!("{case}/vcs")));
        let server = Server::start_with_base(folder, &sources, &old.base_repositories());
        let plan = printed(&cli(&server, &["plan", "lowlib/main"]));
        assert!(plan.contains("version computed at build time"), "{plan}");
        let _worker = Worker::sandboxed_and(&server, &folder.join("scratch"), &LOOPBACK);
        let (code, text) = new(&server, "vcs", &["lowlib/main"]);
        let log = printed(&cli(&server, &["logs", "vcs", "vcs-git"]));
        assert_eq!(code, Some(0), "{text}\n{log}");
        let after = old.upgrades(&server, "vcs", &["lowlib", "vcs-git"]);
        assert_eq!(after["vcs-git"], format!("{old_version}.1"), "{log}");
    });
}

#[test]
fn case_12_pkgrel_in_a_source_name() {
    if !can_build() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = "12-pkgrel-in-a-source-name/relsource";
    let (packages, log) = built(folder.path(), path, &["--pkgrel=9.1"]);
    let file = file_name(&packages[0]);
    assert_eq!(file, "relsource-1.0-9.1-any.pkg.tar.zst", "{log}");
    let fix = file_in(&packages[0], "usr/share/relsource/fix");
    assert_eq!(fix, "patch\n", "{log}");
}
