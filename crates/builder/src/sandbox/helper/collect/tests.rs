use super::*;
use crate::request::Source;
use buildbtw_model::api::ExpectedPackage;
use buildbtw_package::{PackageWriter, TinyPackage};
use std::os::unix::fs::symlink;

struct Folders {
    _temporary: tempfile::TempDir,
    built: std::path::PathBuf,
    output: std::path::PathBuf,
    request: BuildRequest,
}

fn folders() -> Folders {
    let temporary = tempfile::tempdir().unwrap();
    let (built, output) = (
        temporary.path().join("built"),
        temporary.path().join("output"),
    );
    fs_err::create_dir(&built).unwrap();
    fs_err::create_dir(&output).unwrap();
    let mut request = BuildRequest::new(
        "a".parse().unwrap(),
        "x86_64".parse().unwrap(),
        Source::Directory("/nowhere".into()),
    );
    request.version = Some("1-1".parse().unwrap());
    request.packages = vec![ExpectedPackage {
        name: "a".parse().unwrap(),
        architecture: "x86_64".parse().unwrap(),
    }];
    Folders {
        _temporary: temporary,
        built,
        output,
        request,
    }
}

fn package(folders: &Folders, name: &str, version: &str, architecture: &str) -> BuiltPackage {
    let package = TinyPackage::new(
        "a".parse().unwrap(),
        name.parse().unwrap(),
        version.parse().unwrap(),
        architecture.parse().unwrap(),
    );
    BuiltPackage::write(&package, &folders.built).unwrap()
}

fn run(folders: &Folders, computed: bool) -> Result<(Vec<BuiltPackage>, Vec<String>), String> {
    let version = folders.request.version.as_ref().filter(|_| !computed);
    collect(&folders.built, &folders.output, &folders.request, version)
        .map(|(packages, notes)| {
            (
                packages.into_iter().map(|(package, _)| package).collect(),
                notes,
            )
        })
        .map_err(|failure| failure.message)
}

/// Returns why the packages that `write` leaves are refused.
fn refusal(write: impl FnOnce(&mut Folders)) -> Failure {
    let mut folders = folders();
    write(&mut folders);
    let Folders {
        built,
        output,
        request,
        ..
    } = &folders;
    collect(built, output, request, request.version.as_ref()).unwrap_err()
}

#[test]
fn refusals_match_snapshot() {
    let file = "a-1-1-x86_64.pkg.tar.zst";
    let write = |name: &'static str| {
        move |folders: &mut Folders| fs_err::write(folders.built.join(name), "text").unwrap()
    };
    let text = crate::failure::recorded([
        ("no package", refusal(|_| {})),
        (
            "another package",
            refusal(|folders| drop(package(folders, "b", "1-1", "x86_64"))),
        ),
        (
            "another architecture",
            refusal(|folders| drop(package(folders, "a", "1-1", "any"))),
        ),
        (
            "missing package",
            refusal(|folders| drop(package(folders, "a-debug", "1-1", "x86_64"))),
        ),
        ("another file", refusal(write("config.log"))),
        ("damaged package", refusal(write(file))),
        (
            "symlink",
            refusal(|folders| symlink("/etc/passwd", folders.built.join(file)).unwrap()),
        ),
        (
            "large package",
            refusal(|folders| {
                package(folders, "a", "1-1", "x86_64");
                folders.request.limits.output_bytes = 100;
            }),
        ),
        (
            "removed folder",
            refusal(|folders| fs_err::remove_dir(&folders.built).unwrap()),
        ),
    ]);
    insta::assert_snapshot!(text);
}

#[test]
fn collects_expected_packages_with_digests() {
    let folders = folders();
    let built = package(&folders, "a", "1-1", "x86_64");
    package(&folders, "a-debug", "1-1", "x86_64");
    let (packages, notes) = run(&folders, false).unwrap();
    assert_eq!(packages.len(), 2);
    assert_eq!(packages[0].sha256, built.sha256);
    assert_eq!(packages[0].size, built.size);
    assert!(packages[0].path.starts_with(&folders.output));
    assert!(notes.is_empty());
}

#[test]
fn rejects_unexpected_packages() {
    for (name, version, architecture, complaint) in [
        ("b", "1-1", "x86_64", "not in the plan"),
        ("a", "2-1", "x86_64", "has version 2-1, the plan says 1-1"),
        ("a", "1-2", "x86_64", "the PKGBUILD changes pkgrel"),
        ("a", "1-1", "any", "the plan says x86_64"),
    ] {
        let folders = folders();
        package(&folders, name, version, architecture);
        let message = run(&folders, false).unwrap_err();
        assert!(message.contains(complaint), "{message}");
        assert!(fs_err::read_dir(&folders.output).unwrap().next().is_none());
    }
    let empty = folders();
    let message = run(&empty, false).unwrap_err();
    assert_eq!(message, "the build produced no package");
}

#[test]
fn records_computed_version() {
    let folders = folders();
    package(&folders, "a", "r7.abc-1", "x86_64");
    let (_, notes) = run(&folders, true).unwrap();
    assert!(notes[0].contains("r7.abc-1"), "{notes:?}");
}

#[test]
fn rejects_links_pipes_and_contradicting_metadata() {
    let name = "a-1-1-x86_64.pkg.tar.zst";
    let linked = folders();
    symlink("/etc/passwd", linked.built.join(name)).unwrap();
    assert!(
        run(&linked, false)
            .unwrap_err()
            .contains("not a regular file")
    );

    let pipe = folders();
    nix::unistd::mkfifo(&pipe.built.join(name), Mode::S_IRUSR).unwrap();
    assert!(
        run(&pipe, false)
            .unwrap_err()
            .contains("not a regular file")
    );

    let liar = folders();
    let other = package(&liar, "a", "9-9", "x86_64");
    fs_err::rename(&other.path, liar.built.join(name)).unwrap();
    assert!(run(&liar, false).unwrap_err().contains("9-9"));

    let junk = folders();
    fs_err::write(junk.built.join(name), "not a package").unwrap();
    assert!(run(&junk, false).is_err());
}

/// Packages that the server would reject are the package's fault already here.
#[test]
fn rejects_packages_the_server_would_reject() {
    let text = "pkgname = a\npkgbase = a\npkgver = 1-1\narch = x86_64\n";
    let archive = |members: &[(&str, &str)]| {
        let mut package = PackageWriter::new(1);
        for (name, content) in members {
            package.file(name, content.as_bytes()).unwrap();
        }
        package.finish().unwrap()
    };
    let lie = text.replace("1-1", "99-1");
    let long = "n".repeat(5_000);
    for (members, complaint) in [
        (vec![(".PKGINFO", text), (".PKGINFO", &*lie)], "two members"),
        (vec![(".PKGINFO", text), (&long, "")], "5000 bytes"),
        (vec![("usr", "")], "no .PKGINFO"),
    ] {
        let folders = folders();
        let path = folders.built.join("a-1-1-x86_64.pkg.tar.zst");
        fs_err::write(path, archive(&members)).unwrap();
        let message = run(&folders, false).unwrap_err();
        assert!(message.contains(complaint), "{message}");
        assert!(fs_err::read_dir(&folders.output).unwrap().next().is_none());
    }
}

#[test]
fn enforces_size_limit() {
    let mut folders = folders();
    let built = package(&folders, "a", "1-1", "x86_64");
    folders.request.limits.output_bytes = built.size - 1;
    let message = run(&folders, false).unwrap_err();
    assert!(
        message.contains(&format!("{} bytes", built.size - 1)),
        "{message}"
    );
}

#[test]
fn explains_unexpected_versions() {
    let folders = folders();
    let version = |text: &str| -> PackageVersion { text.parse().unwrap() };
    let refused = |found: &str, expected: &str| {
        let name = "a".parse().unwrap();
        other_version(&name, &version(found), &version(expected), &folders.request)
    };
    let text = crate::failure::recorded([
        ("other version", refused("2-1", "1-1")),
        ("other release", refused("1-2", "1-1")),
        ("other computed version", refused("3-1", "2-1")),
    ]);
    let note = computed(&"a".parse().unwrap(), &version("3-1"), &version("2-1"));
    insta::assert_snapshot!(format!("{text}\n## computed version\n{note}"));
}
