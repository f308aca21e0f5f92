//! The build information in a rebuilt package, and the files kept for reproducing it.

use std::path::{Path, PathBuf};
use std::process::Command;

use buildbtw_tests::{
    Server, Sources, Worker, cli, file_in, has_tool, is_root, pacman_upgrades, printed, program,
};

fn pkgbuild(name: &str, depends: &str) -> String {
    format!(
        "pkgname={name}\npkgver=1\npkgrel=1\narch=('x86_64')\ndepends=({depends})\n\
         package() {{ install -Dm644 /dev/null \"$pkgdir/usr/share/{name}/empty\"; }}\n"
    )
}

fn srcinfo(name: &str, depends: &str) -> String {
    let depends = match depends {
        "" => String::new(),
        depends => format!("\tdepends = {depends}\n"),
    };
    format!(
        "pkgbase = {name}\n\tpkgver = 1\n\tpkgrel = 1\n\tarch = x86_64\n{depends}\npkgname = {name}\n"
    )
}

/// Returns the output of a tool.
fn written(program: &str, arguments: &[&Path]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", printed(&output));
    String::from_utf8(output.stdout).unwrap()
}

fn digest(file: &Path) -> String {
    written("sha256sum", &[file])[..64].to_owned()
}

fn files_ending(folder: &Path, end: &str) -> Vec<PathBuf> {
    let files = std::fs::read_dir(folder).unwrap();
    let files = files.map(|entry| entry.unwrap().path());
    files
        .filter(|path| path.to_string_lossy().ends_with(end))
        .collect()
}

#[test]
fn server_keeps_pkgbuild_of_rebuilt_package() {
    if !is_root()
        || !["pacman", "makepkg", "bwrap", "bsdtar"]
            .iter()
            .all(|t| has_tool(t))
    {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let sources = Sources::new(folder.path());
    for (name, depends) in [("library", ""), ("program", "library")] {
        sources.commit_with(name, &srcinfo(name, depends), &pkgbuild(name, depends));
    }
    let server = Server::start_with_lease(folder.path(), &sources, 60);
    let _worker = Worker::sandboxed(&server, &folder.path().join("scratch"));
    let output = cli(
        &server,
        &["new", "library/main", "--name", "kept", "--follow"],
    );
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    pacman_upgrades(folder.path(), &server, "kept");

    let kept = files_ending(&server.data().join("logs"), ".PKGBUILD");
    let kept: Vec<String> = kept.iter().map(|file| digest(file)).collect();
    assert_eq!(kept.len(), 2);
    let repository = server.data().join("repos/kept/1/x86_64");
    let packages = files_ending(&repository, ".pkg.tar.zst");
    assert_eq!(packages.len(), 2, "{packages:?}");
    for package in packages {
        let info = file_in(&package, ".BUILDINFO");
        let has_kept = |digest: &String| info.contains(&format!("pkgbuild_sha256sum = {digest}\n"));
        assert!(kept.iter().any(has_kept), "{info}");
        for line in [
            "builddir = /build",
            "startdir = /startdir",
            "packager = buildbtw <buildbtw@localhost>",
            "buildtool = buildbtw",
        ] {
            assert!(info.lines().any(|found| found == line), "{line}: {info}");
        }
    }
}

#[test]
fn local_build_uses_requested_packager_and_date() {
    if !is_root()
        || !["pacman", "makepkg", "bwrap", "bsdtar"]
            .iter()
            .all(|t| has_tool(t))
    {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("library");
    std::fs::create_dir(&source).unwrap();
    std::fs::write(source.join("PKGBUILD"), pkgbuild("library", "")).unwrap();
    std::fs::write(source.join(".SRCINFO"), srcinfo("library", "")).unwrap();
    let build = |out: &str, release: &[&str]| {
        let out = folder.path().join(out);
        let output = Command::new(program("buildbtw"))
            .args(["build", "--packager=Jane Doe <jane@example.org>"])
            .arg("--source-date-epoch=1700000000")
            .args(["--buildtool=devtools", "--buildtoolver=1:1.3.2-1-any"])
            .args(release)
            .arg("--output")
            .arg(&out)
            .arg(&source)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", printed(&output));
        out
    };
    // Files that are available anyway are not kept.
    assert!(files_ending(&build("plain", &[]), ".PKGBUILD").is_empty());
    let out = build("bumped", &["--pkgrel=1.1"]);
    let kept = files_ending(&out, "library-1-1.1.PKGBUILD");
    let info = file_in(
        &files_ending(&out, "library-1-1.1-x86_64.pkg.tar.zst")[0],
        ".BUILDINFO",
    );
    for line in [
        "packager = Jane Doe <jane@example.org>",
        "builddate = 1700000000",
        "buildtool = devtools",
        "buildtoolver = 1:1.3.2-1-any",
        &format!("pkgbuild_sha256sum = {}", digest(&kept[0])),
    ] {
        assert!(info.lines().any(|found| found == line), "{line}: {info}");
    }
}
