//! Owners of files: a package stores those recorded by fakeroot, and a build sees those of its
//! dependencies.

use std::path::Path;
use std::process::Command;

use crate::support::{Fixture, script_package};

/// Goes beyond `case_01_fakeroot_chown_in_userns`: all of it works with plain makepkg.
const OWNER: &str = r#"pkgname=owner
pkgver=1
pkgrel=1
arch=(any)
package() {
  cd "$pkgdir"; mkdir -p a/b a/x a/y; touch a/b/f a/b/{root,ids,games,http,far,farther,link}
  t() { "$@" && echo "OK: $*" || echo "FAIL($?): $*"; }
  t chown root:root a/b/root
  t chown -R root:root "$pkgdir"
  t chown 0:0 a
  t install -o root -g root -m644 /dev/null a/b/g
  t install -d -o 33 -g 33 a/folder
  t install -o http -g games -m640 /dev/null a/b/installed
  t chgrp games a/b/games
  t chown 123:456 a/b/ids
  t chown http:http a/b/http
  t chown 70000:70001 a/b/far
  t chown 4000000000:1000 a/b/farther
  ln -s f a/b/s
  t chown -h 77:78 a/b/s
  t chown --from=root 1000:1000 a/b/f
  cp -a /etc/passwd a/b/pw && echo "OK: cp -a"
  bsdtar --uid 1234 --uname xyz --gid 1235 --gname xyz -cf a/u.tar -C a/b f
  bsdtar --uid 90000 --uname '' --gid 90001 --gname '' -cf a/v.tar -C a/b f
  t tar -xf a/u.tar -C a/x --transform=s/f/u/
  t tar -xf a/v.tar -C a/x --transform=s/f/v/
  t bsdtar -xf a/u.tar -C a/y
  t bsdtar -xf a/v.tar -C a/y
  t tar -C / -cf a/t.tar etc/passwd
  t tar --same-owner -xf a/t.tar -C a/y
  [[ $(stat -c %u:%g a/b/far) == 70000:70001 ]] || echo "FAIL: stat"
  rm a/*.tar
}
"#;

/// Like packages of another distribution: the archive names owners and lists its folders.
const FROM_ARCHIVE: &str = r#"pkgname=debbin
pkgver=1
pkgrel=1
arch=(any)
package() {
  cd "$srcdir"
  python3 -c '
import tarfile, io
t = tarfile.open("data.tar", "w")
def add(name, kind, uid, gid, uname, gname, data=b""):
    i = tarfile.TarInfo(name)
    i.type, i.mode, i.size = kind, 0o4755 if name.endswith("setuid") else 0o755, len(data)
    i.uid, i.gid, i.uname, i.gname = uid, gid, uname, gname
    t.addfile(i, io.BytesIO(data))
for n in ("opt", "opt/app"):
    add(n, tarfile.DIRTYPE, 0, 0, "root", "root")
add("opt/app/x", tarfile.REGTYPE, 0, 0, "root", "root", b"x")
add("opt/app/odd", tarfile.REGTYPE, 2147483647, 4294967294, "", "", b"x")
add("opt/app/stranger", tarfile.REGTYPE, 1234, 1235, "xyz", "xyz", b"x")
add("opt/app/named", tarfile.REGTYPE, 999, 999, "http", "games", b"x")
add("opt/app/setuid", tarfile.REGTYPE, 0, 0, "root", "root", b"x")
t.close()'
  bsdtar -xf data.tar -C "$pkgdir"
  mkdir gnu && tar --numeric-owner -xf data.tar -C gnu && stat -c 'gnu %n %u:%g' gnu/opt/app/*
}
"#;

#[tokio::test]
async fn unpacks_archives_with_all_kinds_of_owners() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let (packages, log) = fixture
        .built(&fixture.request("debbin", FROM_ARCHIVE))
        .await;
    let list = listed(&packages[0].path);
    for (name, expected) in [
        ("opt", "0/0"),
        ("opt/app/x", "0/0"),
        ("opt/app/odd", "2147483647/4294967294"),
        ("opt/app/stranger", "1234/1235"),
        // Names take precedence over numbers.
        ("opt/app/named", "33/50"),
        ("opt/app/setuid", "0/0"),
    ] {
        assert_eq!(owner(&list, name), expected, "{name}\n{log}");
    }
    assert!(list.contains("-rwsr-xr-x 0/0"), "{list}");
    assert!(log.contains("gnu gnu/opt/app/named 999:999"), "{log}");
}

/// Returns the content of a package, as listed by tar.
fn listed(package: &Path) -> String {
    let output = Command::new("tar")
        .args(["--zstd", "--numeric-owner", "-tvf"])
        .arg(package)
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

fn owner(list: &str, name: &str) -> String {
    let line = list.lines().find(|line| {
        let path = line.split_whitespace().nth(5);
        path.is_some_and(|path| path.trim_end_matches('/') == name)
    });
    let line = line.unwrap_or_else(|| panic!("no {name} in {list}"));
    line.split_whitespace().nth(1).unwrap().to_owned()
}

#[tokio::test]
async fn stores_the_owners_that_plain_makepkg_stores() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let (packages, log) = fixture.built(&fixture.request("owner", OWNER)).await;
    assert!(!log.contains("FAIL"), "{log}");
    assert_eq!(log.matches("OK: ").count(), 20, "{log}");
    let list = listed(&packages[0].path);
    for (name, expected) in [
        ("a/b/root", "0/0"),
        ("a/b/f", "1000/1000"),
        ("a/b/g", "0/0"),
        ("a/folder", "33/33"),
        ("a/b/installed", "33/50"),
        ("a/b/games", "0/50"),
        ("a/b/ids", "123/456"),
        ("a/b/http", "33/33"),
        ("a/b/far", "70000/70001"),
        ("a/b/farther", "4000000000/1000"),
        ("a/b/s", "77/78"),
        ("a/b/pw", "0/0"),
        ("a/x/u", "1234/1235"),
        ("a/x/v", "90000/90001"),
        ("a/y/f", "90000/90001"),
        ("a/y/etc/passwd", "0/0"),
    ] {
        assert_eq!(owner(&list, name), expected, "{name}\n{log}");
    }
}

#[tokio::test]
async fn keeps_the_owners_of_dependency_files() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let pkgbuild = "pkgname=owned\npkgver=1\npkgrel=1\narch=(any)\npackage() {\n\
         install -d \"$pkgdir/usr/share/owned\"; cd \"$pkgdir/usr/share/owned\"\n\
         touch http user last; chown 33:12 http; chown 1234:5678 user; chown 65534:65534 last\n}\n";
    let (packages, _) = fixture.built(&fixture.request("owned", pkgbuild)).await;
    fixture.publish("base", &packages);
    let script = "cd /usr/share/owned; stat -c 'owner %n %u:%g' *; stat -c 'owner usr %u:%g' /usr\n\
         chown 33:33 /build 2>&1 | sed 's/^/plain: /'";
    let mut request = fixture.request("user", &script_package("user", script));
    request.dependencies = vec!["owned".into()];
    let (_, log) = fixture.built(&request).await;
    for line in [
        "owner http 33:12",
        "owner user 1234:5678",
        "owner last 65534:65534",
        "owner usr 0:0",
    ] {
        assert!(log.contains(line), "{line}: {log}");
    }
    // As for every user other than root, and different from what fakeroot rejects.
    assert!(log.contains("plain: chown: changing ownership"), "{log}");
    assert!(log.contains("Operation not permitted"), "{log}");
    assert!(!log.contains("Invalid argument"), "{log}");
}
