//! Package files in every format that makepkg writes, and their content.

use std::path::Path;
use std::process::Command;

use buildbtw_builder::{Builder, BuiltPackage};
use buildbtw_package::Package;

use crate::support::{Fixture, script_package};

fn is_installed(program: &str) -> bool {
    let found = Command::new("which").arg(program).output().unwrap();
    if !found.status.success() {
        eprintln!("SKIPPED: {program} is not installed");
    }
    found.status.success()
}

/// Reads a package as the server does.
fn read(package: &BuiltPackage) -> Package {
    let name = package.file_name.pkgname();
    let base = name.as_str().parse().unwrap();
    Package::read(&package.path, &package.file_name, &base, &|| false).unwrap()
}

/// Goes beyond `case_08_pkgext_in_the_pkgbuild`.
#[tokio::test]
async fn builds_and_installs_packages_of_every_extension() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let mut user = fixture.request("user", "");
    let mut script = String::new();
    let mut built = Vec::new();
    for (name, extension, program) in [
        ("plain", ".pkg.tar", "tar"),
        ("zst", ".pkg.tar.zst", "zstd"),
        ("xz", ".pkg.tar.xz", "xz"),
        ("gz", ".pkg.tar.gz", "gzip"),
        ("bz2", ".pkg.tar.bz2", "bzip2"),
        ("lz4", ".pkg.tar.lz4", "lz4"),
        ("lzo", ".pkg.tar.lzo", "lzop"),
    ] {
        if !is_installed(program) {
            continue;
        }
        // repo-add stops reading after .PKGINFO; if lzop has more to write then, bsdtar treats its
        // end as an error of the file.
        let lines = if name == "lzo" { 5_000 } else { 100_000 };
        let pkgbuild = format!(
            "pkgname={name}\npkgver=1.0\npkgrel=1\narch=(any)\nPKGEXT='{extension}'\n\
             package() {{ install -d \"$pkgdir/usr/share/kinds\"; \
             seq {lines} >\"$pkgdir/usr/share/kinds/{name}\"; }}\n"
        );
        let (packages, log) = fixture.built(&fixture.request(name, &pkgbuild)).await;
        let file = format!("{name}-1.0-1-any{extension}");
        assert_eq!(packages[0].file_name.as_str(), file, "{log}");
        assert!(read(&packages[0]).files.contains("usr/share/kinds/"));
        built.extend(packages);
        user.dependencies.push(name.into());
        script += &format!("tail -n 1 /usr/share/kinds/{name} && echo {name} is there\n");
    }
    fixture.publish("base", &built);
    let mut request = fixture.request("user", &script_package("user", &script));
    request.dependencies = user.dependencies;
    let (_, log) = fixture.built(&request).await;
    for package in built {
        let name = package.file_name.pkgname();
        assert!(log.contains(&format!("000\n{name} is there")), "{log}");
    }
}

const NAMES: &str = r#"pkgname=names
pkgver=1
pkgrel=1
arch=(any)
backup=($'etc/caf\xe9.conf')
package() {
  install -d "$pkgdir/etc" "$pkgdir/usr/share/names/"$'fold\xe9r'
  cd "$pkgdir/usr/share/names"
  echo 1 >"$pkgdir/etc/"$'caf\xe9.conf'
  touch $'caf\xe9' $'caf\xc3\xa9' $'bad\xff\xfe name' $'fold\xe9r/f' 'system\x2dcryptsetup.slice' 'a b'
  ln -s $'caf\xe9' $'l\xefnk'
}
"#;

/// Returns what repo-add writes about the files of a package.
fn listed_by_repo_add(fixture: &Fixture, package: &Path) -> String {
    fixture.sh(&format!(
        "LC_ALL=C.UTF-8 repo-add --quiet listed.db.tar.gz '{}' >&2
         bsdtar -xOf listed.files.tar.gz '*/files'",
        package.display()
    ))
}

#[tokio::test]
async fn lists_non_utf8_names_like_repo_add() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let (packages, _) = fixture.built(&fixture.request("names", NAMES)).await;
    let files = read(&packages[0]).files;
    assert!(files.contains("usr/share/names/caf\\351\n"), "{files}");
    assert_eq!(
        files.trim(),
        listed_by_repo_add(&fixture, &packages[0].path)
    );

    fixture.publish("base", &packages);
    let script = "cd /usr/share/names; for f in $'caf\\xe9' $'fold\\xe9r/f' $'bad\\xff\\xfe name' \
                  $'/etc/caf\\xe9.conf'; do [[ -e $f ]] || exit 3; done; echo all are there";
    let mut user = fixture.request("user", &script_package("user", script));
    user.dependencies = vec!["names".into()];
    let (_, log) = fixture.built(&user).await;
    assert!(log.contains("all are there"), "{log}");
}

const ATTRIBUTES: &str = r#"pkgname=attributes
pkgver=1
pkgrel=1
arch=(x86_64)
package() {
  install -Dm755 /usr/bin/true "$pkgdir/usr/bin/with-capability"
  setcap cap_net_raw+ep "$pkgdir/usr/bin/with-capability"
  install -Dm644 /dev/null "$pkgdir/usr/share/attributes/file"
  python3 -c 'import os, sys; os.setxattr(sys.argv[1], "user.colour", b"blue")' \
    "$pkgdir/usr/share/attributes/file"
}
"#;

/// Under fakeroot, as with plain makepkg.
#[tokio::test]
async fn preserves_capabilities_and_extended_attributes() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    if !is_installed("setcap") || !is_installed("python3") {
        return;
    }
    let (packages, log) = fixture
        .built(&fixture.request("attributes", ATTRIBUTES))
        .await;
    let archive = fixture.sh(&format!(
        "zstd -dc '{}' | grep -a -o -E 'SCHILY.xattr.(user.colour=blue|security.capability=)'",
        packages[0].path.display()
    ));
    assert_eq!(
        archive, "SCHILY.xattr.security.capability=\nSCHILY.xattr.user.colour=blue",
        "{log}"
    );
    fixture.publish("base", &packages);
    let script = "getcap /usr/bin/with-capability
        python3 -c 'import os; print(os.getxattr(\"/usr/share/attributes/file\", \"user.colour\"))'";
    let mut user = fixture.request("user", &script_package("user", script));
    user.dependencies = vec!["attributes".into()];
    let (_, log) = fixture.built(&user).await;
    assert!(
        log.contains("/usr/bin/with-capability cap_net_raw=ep"),
        "{log}"
    );
    assert!(log.contains("b'blue'"), "{log}");
}

const MANY: &str = r#"pkgname=many
pkgver=1
pkgrel=1
arch=(any)
options=(!strip)
package() {
  for folder in {1..100}; do
    mkdir -p "$pkgdir/usr/share/many/$folder"
    (cd "$pkgdir/usr/share/many/$folder" && seq 1000 | xargs touch)
  done
}
"#;

/// makepkg starts a program for each file that it might strip.
#[tokio::test]
async fn builds_and_lists_a_hundred_thousand_files() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let (packages, _) = fixture.built(&fixture.request("many", MANY)).await;
    let files = read(&packages[0]).files;
    assert_eq!(files.lines().count(), 1 + 3 + 100 + 100_000);
}

/// The host serves as a pacstrapped system: its makepkg.conf applies, unlike where only its
/// `/usr` is used.
#[tokio::test]
async fn applies_makepkg_settings_of_a_pacstrapped_base() {
    let Some(mut fixture) = Fixture::new() else {
        return;
    };
    let settings = fs_err::read_to_string("/etc/makepkg.conf").unwrap_or_default();
    let extension = settings
        .lines()
        .find_map(|line| line.strip_prefix("PKGEXT="))
        .map(|value| value.trim_matches(['\'', '"']));
    let Some(extension) = extension else {
        eprintln!("SKIPPED: /etc/makepkg.conf sets no PKGEXT");
        return;
    };
    fixture.config.base_root = Some("/".into());
    fixture.builder = Builder::sandboxed(fixture.config.clone());
    let request = fixture.request("based", &script_package("based", "true"));
    let (packages, _) = fixture.built(&request).await;
    let file = format!("based-1.0-1-x86_64{extension}");
    assert_eq!(packages[0].file_name.as_str(), file);
}
