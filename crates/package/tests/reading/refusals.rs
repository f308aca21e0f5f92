//! The texts of refusals, which the server reports for an uploaded package.

use crate::archives::{Tar, header, tar};
use crate::recorded;

type Case = (&'static str, fn(&mut Tar<Vec<u8>>));

/// Returns the archives that the cases write, with their ends.
fn written<const N: usize>(cases: [Case; N]) -> [(&'static str, Vec<u8>); N] {
    cases.map(|(name, write)| {
        let archive = tar(|tar| {
            write(tar);
            tar.end();
        });
        (name, archive)
    })
}

#[test]
fn refusals_of_archives_match_snapshot() {
    const MANY: u64 = 2 << 30;
    let refused = written([
        ("no metadata", |tar| {
            tar.member(b"usr/a", b'0', b"");
        }),
        ("two metadata members", |tar| {
            tar.pkginfo().pkginfo();
        }),
        ("folder instead of metadata", |tar| {
            tar.member(b".PKGINFO", b'5', b"");
        }),
        ("large metadata", |tar| {
            tar.repeated(b".PKGINFO", b'0', (1 << 20) + 1);
        }),
        ("long extended header", |tar| {
            tar.pkginfo().repeated(b"x", b'x', (64 << 10) + 1);
        }),
        ("name that begins like a compressed file", |tar| {
            tar.member(b"LZIP", b'0', b"").pkginfo();
        }),
        ("path above the root", |tar| {
            tar.pkginfo().member(b"../etc/passwd", b'0', b"");
        }),
        ("control character in a name", |tar| {
            tar.pkginfo().member(b"usr/a\x1b[31m", b'0', b"");
        }),
        ("long path", |tar| {
            tar.pkginfo().pax(&[("path", &"n".repeat(4_097))]);
            tar.member(b"cut", b'0', b"");
        }),
        ("negative size in an extended header", |tar| {
            tar.pkginfo().pax(&[("size", "-1")]);
            tar.member(b"a", b'0', b"");
        }),
        ("end within a member", |tar| {
            tar.pkginfo().pax(&[("path", "usr/a")]);
        }),
        ("data after the end", |tar| {
            tar.pkginfo().end().member(b"usr/a", b'0', b"");
        }),
        ("large content", |tar| {
            tar.pkginfo().raw(&header(b"usr/a", b'0', MANY), b"");
        }),
    ]);
    let truncated = tar(|tar| {
        tar.pkginfo();
    });
    let refused = refused.into_iter().chain([("truncated", truncated)]);
    insta::assert_snapshot!(recorded(refused));
}

#[test]
fn refusals_of_metadata_match_snapshot() {
    let long = format!("depend = {}\n", "x".repeat(64 << 10));
    let many = "depend = a\n".repeat(10_001);
    let lie = |key: &str| {
        let text = String::from_utf8_lossy(crate::PKGINFO);
        text.replace(&format!("{key} = "), &format!("{key} = other-"))
    };
    let refused = [
        ("two names", "pkgname = a\npkgname = b\n".to_owned()),
        ("two pairs of a name", "xdata = pkgtype=pkg\n".repeat(2)),
        ("control character", "pkgdesc = \u{1b}[31m\n".to_owned()),
        ("heading of a database", "pkgdesc = %NAME%\n".to_owned()),
        ("long line", long),
        ("many lines", many),
        ("other name", lie("pkgname")),
        ("other version", lie("pkgver")),
        ("other architecture", lie("arch")),
        ("other pkgbase", lie("pkgbase")),
        ("no name", String::new()),
    ];
    let package = |text: &[u8]| {
        tar(|tar| {
            tar.member(b".PKGINFO", b'0', text).end();
        })
    };
    let not_utf8 = ("invalid UTF-8", package(b"pkgdesc = \xff\n"));
    let refused = refused.map(|(name, text)| (name, package(text.as_bytes())));
    let refused = refused.into_iter().chain([not_utf8]);
    insta::assert_snapshot!(recorded(refused));
}
