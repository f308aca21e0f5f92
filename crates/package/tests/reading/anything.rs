//! Archives with valid headers and any content are read or rejected, without panics.

use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};
use proptest::sample::select;

use crate::archives::{record, tar};
use crate::{PKGINFO, read_bytes};

fn names() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(b".PKGINFO".to_vec()),
        Just(b"./.PKGINFO".to_vec()),
        Just(b"usr/".to_vec()),
        "[a-z./\n]{0,12}".prop_map(String::into_bytes),
        proptest::collection::vec(any::<u8>(), 0..100),
    ]
}

fn records() -> impl Strategy<Value = Vec<u8>> {
    let keys = [
        "path",
        "size",
        "linkpath",
        "mtime",
        "GNU.sparse.name",
        "GNU.sparse.realsize",
    ];
    let values = prop_oneof![
        Just(".PKGINFO".to_owned()),
        "[0-9]{0,20}",
        "[a-z./\0]{0,20}",
    ];
    let some = proptest::collection::vec((select(keys.to_vec()), values), 0..4);
    some.prop_map(|records| {
        let records = records.iter().map(|(key, value)| record(key, value));
        records.collect::<String>().into_bytes()
    })
}

fn contents() -> impl Strategy<Value = Vec<u8>> {
    let info = |more: &str| [PKGINFO, more.as_bytes()].concat();
    prop_oneof![
        3 => Just(Vec::new()),
        3 => Just(PKGINFO.to_vec()),
        1 => Just(info("pkgdesc = a\0b\n")),
        1 => Just(info("pkgver = 2-1\n")),
        3 => records(),
        1 => proptest::collection::vec(any::<u8>(), 0..600),
    ]
}

proptest! {
    #[test]
    fn reads_or_rejects_any_archive(
        members in proptest::collection::vec(
            (select(b"00000xxxgLK1257".to_vec()), names(), contents()), 0..6),
        is_honest: bool,
        cut in 0_usize..20_000,
    ) {
        let mut archive = tar(|tar| {
            if is_honest {
                tar.pkginfo();
            }
            for (flag, name, content) in &members {
                tar.member(name, *flag, content);
            }
            tar.end();
        });
        archive.truncate(cut.max(600));
        if let Ok(package) = read_bytes(&archive) {
            for key in ["pkgname", "pkgver", "arch"] {
                assert_eq!(package.info.values(key).count(), 1, "{key}");
            }
            for line in package.files.lines() {
                assert!(!line.chars().any(char::is_control), "{line:?}");
                assert!(!line.starts_with(['/', '.']), "{line:?}");
                assert!(!line.split('/').any(|name| name == ".."), "{line:?}");
            }
        }
    }
}
