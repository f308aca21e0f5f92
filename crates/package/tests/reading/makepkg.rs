//! Packages built by the real makepkg, compared with the results of its own tools.

use std::path::Path;
use std::process::Command;

use buildbtw_package::Package;

const PKGBUILD: &str = r#"
pkgname=real
pkgver=1.0
pkgrel=2
pkgdesc="Files of   all kinds = 100 %"
arch=(any)
url=https://example.org/?a=b
license=(MIT)
depends=(glibc 'bash>=5')
optdepends=('python: for its scripts')
provides=(thing=1)
package() {
    local folder=$pkgdir/usr/share/real
    mkdir -p "$folder/$(printf 'd%.0s' {1..150})"
    echo 1 >"$folder/$(printf 'd%.0s' {1..150})/$(printf 'n%.0s' {1..150})"
    truncate -s 3M "$folder/holes"
    printf x | dd of="$folder/holes" bs=1 seek=2000000 conv=notrunc status=none
    echo 2 >"$folder/file"
    ln "$folder/file" "$folder/hard link"
    ln -s "$(printf 'l%.0s' {1..200})" "$folder/link"
    mkfifo "$folder/pipe"
    echo 3 >"$folder/.hidden"
    echo 4 >"$folder/ünïcödé"
    echo 5 >"$folder/"$'no\xff text'
    mkdir "$folder/"$'fold\xe9r'
    echo 6 >"$folder/"$'fold\xe9r/back\\slash'
    ln -s $'no\xff text' "$folder/"$'l\xefnk'
}
"#;

const SETTINGS: &str = r#"
CARCH=x86_64
BUILDENV=(!distcc !color !ccache !check !sign !fakeroot)
OPTIONS=(!strip docs !libtool !staticlibs emptydirs !zipman !purge !debug !lto)
PACKAGER="Packager <packager@example.org>"
SRCEXT=.src.tar.gz
COMPRESSGZ=(gzip -c -f -n)
COMPRESSXZ=(xz -c -1 -)
COMPRESSZST=(zstd -c -q -)
COMPRESSBZ2=(bzip2 -c -f)
COMPRESSLZ4=(lz4 -q)
COMPRESSLZO=(lzop -q)
"#;

/// Runs makepkg as a user that it accepts.
fn makepkg(folder: &Path, extension: &str) {
    let mut command = if is_root() {
        let mut command = Command::new("setpriv");
        command.args([
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            "makepkg",
        ]);
        command
    } else {
        Command::new("makepkg")
    };
    let output = command
        .args(["--nodeps", "--force", "--config", "makepkg.conf"])
        .current_dir(folder)
        .env("PKGEXT", extension)
        .env("HOME", folder)
        .env("LC_ALL", "C.UTF-8")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output().unwrap();
    output.stdout == b"0\n"
}

fn listed(package: &Path) -> Vec<String> {
    let output = Command::new("bsdtar")
        .args(["--exclude=^.*", "-tf"])
        .arg(package)
        .env("LC_ALL", "C.UTF-8")
        .output()
        .unwrap();
    let mut names: Vec<_> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect();
    names.sort();
    names
}

#[test]
fn reads_packages_of_makepkg_with_any_content() {
    if Command::new("makepkg").arg("--version").output().is_err() {
        eprintln!("SKIPPED: makepkg is not installed");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let world_writable = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    fs_err::set_permissions(folder.path(), world_writable).unwrap();
    fs_err::write(folder.path().join("PKGBUILD"), PKGBUILD).unwrap();
    for (extension, program) in [
        (".pkg.tar", "true"),
        (".pkg.tar.zst", "zstd"),
        (".pkg.tar.xz", "xz"),
        (".pkg.tar.gz", "gzip"),
        (".pkg.tar.bz2", "bzip2"),
        (".pkg.tar.lz4", "lz4"),
        (".pkg.tar.lzo", "lzop"),
    ] {
        if Command::new(program).arg("--version").output().is_err() {
            eprintln!("SKIPPED for {extension}: {program} is not installed");
            continue;
        }
        let settings = format!("{SETTINGS}PKGEXT={extension}\n");
        fs_err::write(folder.path().join("makepkg.conf"), settings).unwrap();
        makepkg(folder.path(), extension);
        let file = format!("real-1.0-2-any{extension}");
        let path = folder.path().join(&file);
        let (name, base) = (file.parse().unwrap(), "real".parse().unwrap());
        let package = Package::read(&path, &name, &base, &|| false).unwrap();
        let files: Vec<_> = package.files.lines().skip(1).collect();
        assert_eq!(files, listed(&path), "{file}");
        for name in ["holes", "no\\377 text", "fold\\351r/back\\\\slash"] {
            let name = format!("usr/share/real/{name}");
            assert!(files.contains(&&*name), "{files:?}");
        }
        let value = |key: &str| package.info.values(key).collect::<Vec<_>>().join("|");
        assert_eq!(value("pkgdesc"), "Files of all kinds = 100 %");
        assert_eq!(value("url"), "https://example.org/?a=b");
        assert_eq!(value("depend"), "glibc|bash>=5");
        assert_eq!(value("optdepend"), "python: for its scripts");
        let other = "other".parse().unwrap();
        let lie = Package::read(&path, &name, &other, &|| false).unwrap_err();
        assert!(lie.to_string().contains("pkgbase = \"real\""), "{lie}");
    }
}
