//! Libraries that packages link: programs and libraries of this machine, and damaged ones.

use proptest::prelude::*;

use buildbtw_package::{Package, PackageWriter, Soname};

use super::{PKGINFO, read_bytes};

/// A program or library with its dynamic entries, in either byte order and word size.
#[derive(Clone, Copy)]
struct TestElf<'a> {
    is_64_bit: bool,
    is_big: bool,
    soname: Option<&'a str>,
    needed: &'a [&'a str],
    /// Bytes between the names and the dynamic section.
    gap: usize,
}

impl TestElf<'_> {
    fn number(&self, file: &mut Vec<u8>, value: u64, size: usize) {
        let bytes = value.to_le_bytes();
        let bytes = bytes[..size].iter();
        if self.is_big {
            file.extend(bytes.rev());
        } else {
            file.extend(bytes);
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let word = if self.is_64_bit { 8 } else { 4 };
        let (head, segment) = if self.is_64_bit { (64, 56) } else { (52, 32) };
        let mut strings = vec![0];
        let mut entries = Vec::new();
        let soname = self.soname.iter().map(|name| (14, *name));
        for (tag, name) in soname.chain(self.needed.iter().map(|name| (1, *name))) {
            entries.push((tag, strings.len() as u64));
            strings.extend(name.as_bytes());
            strings.push(0);
        }
        // Loaded at an address that differs from its offset in the file.
        let table = head + 2 * segment;
        let dynamic = table + strings.len() as u64 + self.gap as u64;
        entries.extend([(5, 0x10000 + table), (0, 0)]);
        let size = (entries.len() * 2 * word) as u64;
        let mut file = b"\x7fELF".to_vec();
        file.push(if self.is_64_bit { 2 } else { 1 });
        file.push(if self.is_big { 2 } else { 1 });
        file.resize(16, 0);
        for (value, size) in [
            (3, 2),
            (62, 2),
            (1, 4),
            (0, word),
            (head, word),
            (0, word),
            (0, 4),
        ] {
            self.number(&mut file, value, size);
        }
        for half in [head, segment, 2, 0, 0, 0] {
            self.number(&mut file, half, 2);
        }
        for (kind, offset, size) in [(1, 0, dynamic + size), (2, dynamic, size)] {
            self.number(&mut file, kind, 4);
            if self.is_64_bit {
                self.number(&mut file, 4, 4);
            }
            for value in [offset, 0x10000 + offset, offset, size, size] {
                self.number(&mut file, value, word);
            }
            if !self.is_64_bit {
                self.number(&mut file, 4, 4);
            }
            self.number(&mut file, 8, word);
        }
        file.extend(&strings);
        file.resize(file.len() + self.gap, 0);
        for (tag, value) in entries {
            self.number(&mut file, tag, word);
            self.number(&mut file, value, word);
        }
        file
    }
}

const LIBRARY: TestElf<'_> = TestElf {
    is_64_bit: true,
    is_big: false,
    soname: Some("libx.so.1"),
    needed: &["libc.so.6", "liby.so.2"],
    gap: 0,
};

fn package(files: &[(&str, &[u8])]) -> Package {
    let mut package = PackageWriter::new(1);
    for (path, content) in [(".PKGINFO", PKGINFO)].iter().chain(files) {
        package.file(path, content).unwrap();
    }
    read_bytes(&package.finish().unwrap()).unwrap()
}

fn text(files: &[(&str, &[u8])]) -> String {
    package(files).sonames.to_string()
}

#[test]
fn reads_libraries_of_every_class_and_byte_order() {
    for (is_64_bit, bits) in [(true, 64), (false, 32)] {
        for is_big in [true, false] {
            let elf = TestElf {
                is_64_bit,
                is_big,
                ..LIBRARY
            };
            let found = text(&[("usr/lib/libx.so.1.0", &elf.bytes())]);
            let expected =
                format!("has {bits} libx.so.1\nlinks {bits} libc.so.6\nlinks {bits} liby.so.2\n");
            assert_eq!(found, expected);
        }
    }
}

#[test]
fn provides_only_libraries_in_search_folders() {
    let library = LIBRARY.bytes();
    let program = TestElf {
        soname: None,
        ..LIBRARY
    };
    let links = "links 64 libc.so.6\nlinks 64 liby.so.2\n";
    assert_eq!(text(&[("opt/x/libx.so.1", &library)]), links);
    assert_eq!(text(&[("usr/bin/x", &program.bytes())]), links);
    assert_eq!(text(&[("usr/lib/debug/x.debug", &library)]), "");
    assert_eq!(text(&[("usr/share/x", b"\x7fELF")]), "");
    assert_eq!(
        text(&[("usr/lib/libz.so", &program.bytes())]),
        format!("has 64 libz.so\n{links}")
    );
}

#[test]
fn reads_large_library_without_buffering_it() {
    let large = TestElf {
        gap: 20 << 20,
        ..LIBRARY
    };
    let found = package(&[
        ("usr/lib/libx.so.1", &large.bytes()),
        ("usr/lib/last", b"x"),
    ]);
    assert!(found.sonames.to_string().starts_with("has 64 libx.so.1\n"));
    assert!(
        found.files.contains("usr/lib/last\nusr/lib/libx.so.1\n"),
        "{}",
        found.files
    );
}

#[test]
fn reads_a_real_program() {
    let own = std::env::current_exe().unwrap();
    let found = package(&[("usr/bin/x", &fs_err::read(own).unwrap())]);
    let is_libc = |soname: &Soname| soname.name.starts_with("libc.so");
    assert!(
        found.sonames.links.iter().any(is_libc),
        "{:?}",
        found.sonames
    );
}

#[test]
fn omits_malformed_names() {
    let long = "l".repeat(300);
    let odd = TestElf {
        soname: Some("lib x.so"),
        needed: &["", "lib/x.so", "lib\nx.so", &long, "libc.so.6"],
        ..LIBRARY
    };
    assert_eq!(text(&[("usr/lib/x", &odd.bytes())]), "links 64 libc.so.6\n");
}

proptest! {
    #[test]
    fn tolerates_damaged_files(
        changes in prop::collection::vec((0usize..400, any::<u8>()), 1..20),
        length in 0usize..400,
        is_64_bit: bool,
        is_big: bool,
    ) {
        let elf = TestElf { is_64_bit, is_big, ..LIBRARY };
        let mut file = elf.bytes();
        for (at, byte) in changes {
            if at > 5 && let Some(old) = file.get_mut(at) {
                *old = byte;
            }
        }
        file.truncate(length.max(64));
        let found = package(&[("usr/lib/libx.so", &file), ("usr/lib/last", b"x")]);
        prop_assert!(found.files.contains("usr/lib/last\n"));
        prop_assert_eq!(found.sonames.to_string().parse().ok(), Some(found.sonames));
    }
}
