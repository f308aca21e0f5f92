//! Which member describes a package, and which members all readers must interpret alike.

use crate::archives::{Tar, header, set_checksum, set_size, tar};
use crate::{PKGINFO, read_bytes, refusal};

const LIE: &[u8] = b"pkgname = bash\npkgbase = a\npkgver = 99-1\narch = any\n";

#[test]
fn finds_metadata_at_any_position() {
    let names: [&[u8]; 4] = [
        b".PKGINFO",
        b"./.PKGINFO",
        b".//./.PKGINFO",
        b"././.PKGINFO",
    ];
    for name in names {
        let package = read_bytes(&tar(|tar| {
            tar.member(b".BUILDINFO", b'0', b"x")
                .member(b"./", b'5', b"");
            tar.member(b"./usr", b'5', b"").member(b"usr/b", b'0', b"b");
            tar.member(b"usr//./a/", b'5', b"")
                .member(b"usr", b'5', b"");
            tar.member(name, b'0', PKGINFO).end();
        }));
        let package = package.unwrap();
        assert_eq!(package.files, "%FILES%\nusr/\nusr/a/\nusr/b\n");
        assert_eq!(package.info.values("pkgver").collect::<Vec<_>>(), ["1-1"]);
    }
}

#[test]
fn requires_exactly_one_metadata_member() {
    let second: [&[u8]; 3] = [b".PKGINFO", b"./.PKGINFO", b".//.PKGINFO"];
    for name in second {
        for text in [PKGINFO, LIE] {
            let two = tar(|tar| {
                tar.pkginfo().member(b"usr", b'5', b"");
                tar.member(name, b'0', text).end();
            });
            assert!(refusal(&two).contains("two members"), "{name:?}");
        }
    }
    let none = tar(|tar| {
        tar.member(b"usr/.PKGINFO", b'0', PKGINFO).end();
    });
    assert!(refusal(&none).contains("no .PKGINFO"));
}

#[test]
fn rejects_metadata_that_is_not_a_regular_file() {
    for flag in b"1234567" {
        let alone = tar(|tar| {
            tar.member(b".PKGINFO", *flag, b"").end();
        });
        let beside = tar(|tar| {
            tar.pkginfo().member(b"./.PKGINFO", *flag, b"").end();
        });
        refusal(&alone);
        refusal(&beside);
    }
    let folder = tar(|tar| {
        tar.member(b".PKGINFO/", b'0', PKGINFO).end();
    });
    assert!(refusal(&folder).contains("not a regular file"));
    let with_holes = tar(|tar| {
        tar.pax(&[
            ("GNU.sparse.name", ".PKGINFO"),
            ("GNU.sparse.realsize", "9"),
        ]);
        tar.member(b"x", b'0', PKGINFO).end();
    });
    assert!(refusal(&with_holes).contains("not a regular file"));
}

#[test]
fn applies_names_of_extended_headers() {
    let renamed = tar(|tar| {
        tar.pax(&[("path", ".PKGINFO")])
            .member(b"x", b'0', PKGINFO)
            .end();
    });
    assert!(read_bytes(&renamed).is_ok());
    let long_name = tar(|tar| {
        tar.member(b"././@LongLink", b'L', b".PKGINFO\0");
        tar.member(b"x", b'0', PKGINFO).end();
    });
    assert!(read_bytes(&long_name).is_ok());
    for hidden in [renamed, long_name] {
        let two = [
            tar(|tar| {
                tar.pkginfo();
            }),
            hidden,
        ]
        .concat();
        assert!(refusal(&two).contains("two members"));
    }
    let renamed_away = tar(|tar| {
        tar.pax(&[("path", "x")])
            .member(b".PKGINFO", b'0', PKGINFO)
            .end();
    });
    assert!(refusal(&renamed_away).contains("no .PKGINFO"));
}

#[test]
fn rejects_archives_that_readers_interpret_differently() {
    type Case = (&'static str, fn(&mut Tar<Vec<u8>>));
    let cases: [Case; 15] = [
        ("a size in an extended header", |tar| {
            tar.pax(&[("size", "512")]).member(b"x", b'0', b"");
        }),
        ("two values in an extended header", |tar| {
            tar.pax(&[("path", "x"), ("path", "y")])
                .member(b"z", b'0', b"");
        }),
        ("two extended headers", |tar| {
            tar.pax(&[("path", "x")]).pax(&[("path", "y")]);
            tar.member(b"z", b'0', b"");
        }),
        ("two long names", |tar| {
            tar.member(b"l", b'L', b"x\0").member(b"l", b'L', b"y\0");
            tar.member(b"z", b'0', b"");
        }),
        ("a long name of each kind", |tar| {
            tar.member(b"l", b'L', b"x\0").pax(&[("path", "y")]);
            tar.member(b"z", b'0', b"");
        }),
        ("an extended header for all", |tar| {
            tar.member(b"g", b'g', crate::archives::record("path", "x").as_bytes());
            tar.member(b"z", b'0', b"");
        }),
        ("a damaged extended header", |tar| {
            tar.member(b"x", b'x', b"99 path=x\n")
                .member(b"z", b'0', b"");
        }),
        ("a folder with content", |tar| {
            tar.member(b"d", b'5', &[b'x'; 512]);
        }),
        ("a link with content", |tar| {
            tar.member(b"d", b'1', &[b'x'; 512]);
        }),
        ("an unknown type", |tar| {
            tar.member(b"d", b'S', b"");
        }),
        ("a negative size", |tar| {
            let mut block = header(b"z", b'0', 0);
            set_size(&mut block, &[0xff; 12]);
            tar.raw(&block, b"");
        }),
        ("a size beyond every limit", |tar| {
            let mut block = header(b"z", b'0', 0);
            set_size(
                &mut block,
                &[
                    0x80, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                ],
            );
            tar.raw(&block, b"");
        }),
        ("a size with a sign", |tar| {
            let mut block = header(b"z", b'0', 0);
            set_size(&mut block, b"-0000000001\0");
            tar.raw(&block, b"");
        }),
        ("a wrong checksum", |tar| {
            let mut block = header(b"z", b'0', 0);
            block[0] = b'y';
            tar.raw(&block, b"");
        }),
        ("an unknown format", |tar| {
            let mut block = header(b"z", b'0', 0);
            block[263] = b'1';
            set_checksum(&mut block);
            tar.raw(&block, b"");
        }),
    ];
    let refused = cases.map(|(what, write)| {
        let archive = tar(|tar| {
            tar.pkginfo();
            write(tar);
            tar.end();
        });
        refusal(&archive);
        (what, archive)
    });
    insta::assert_snapshot!(crate::recorded(refused));
}

#[test]
fn rejects_names_that_escape_the_root_or_break_a_list() {
    let names: [&[u8]; 9] = [
        b"/etc/passwd",
        b"../etc/passwd",
        b"usr/../../etc",
        b"..",
        b"a\nb",
        b"a\x1b[31m",
        b"a\x7f",
        b"",
        "a\u{85}b".as_bytes(),
    ];
    for name in names {
        refusal(&tar(|tar| {
            tar.pkginfo().member(name, b'0', b"").end();
        }));
    }
    let nul = tar(|tar| {
        tar.pkginfo().pax(&[("path", "usr/a\0b")]);
        tar.member(b"x", b'0', b"").end();
    });
    assert!(refusal(&nul).contains("control character"));
}
