//! Compressed streams: several in sequence, truncated, and with trailing data.

use std::io::{Read as _, Write as _};

use crate::archives::tar;
use crate::{PKGINFO, read_bytes, refusal};

type Compress = fn(&[u8]) -> Vec<u8>;

fn compressions() -> [(&'static str, Compress); 7] {
    [
        ("none", <[u8]>::to_vec),
        ("zstd", |bytes| zstd::bulk::compress(bytes, 1).unwrap()),
        ("gzip", |bytes| {
            let mut encoder =
                flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }),
        ("xz", |bytes| {
            let mut compressed = Vec::new();
            let mut encoder = liblzma::read::XzEncoder::new(bytes, 1);
            encoder.read_to_end(&mut compressed).unwrap();
            compressed
        }),
        ("bzip2", |bytes| {
            let level = bzip2::Compression::fast();
            let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), level);
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }),
        ("lz4", |bytes| {
            let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }),
        ("lzop", lzop),
    ]
}

/// Returns what lzop writes for incompressible data; `makepkg.rs` reads real files of it.
fn lzop(bytes: &[u8]) -> Vec<u8> {
    const ADLER_OF_CONTENT: u32 = 1;
    let mut file = b"\x89LZO\0\r\n\x1a\n\x10\x40\x20\xa0\x09\x40\x01\x05".to_vec();
    file.extend(ADLER_OF_CONTENT.to_be_bytes());
    // Mode, time, the length of a name and the header's checksum.
    file.extend([0; 17]);
    for block in bytes.chunks(1_000) {
        let length = u32::try_from(block.len()).unwrap().to_be_bytes();
        let (mut low, mut high) = (1_u32, 0_u32);
        for byte in block {
            low = (low + u32::from(*byte)) % 65_521;
            high = (high + low) % 65_521;
        }
        file.extend([length, length, (high << 16 | low).to_be_bytes()].concat());
        file.extend(block);
    }
    file.extend([0; 4]);
    file
}

#[test]
fn rejects_damaged_blocks() {
    let whole = lzop(&package());
    assert!(read_bytes(&whole).is_ok());
    let place = whole.len() - 500;
    let mut damaged = whole.clone();
    damaged[place] ^= 1;
    let mut refused = vec![("changed byte", damaged)];
    for (what, at, bytes) in [
        ("old version", 9, &[0x09, 0x30][..]),
        ("unknown method", 15, &[0x80]),
        ("filter", 17, &[0, 0, 8, 0]),
        ("extra field", 17, &[0, 0, 0, 0x40]),
        ("large block", 38, &[0xff, 0, 0, 0]),
        ("block larger than its content", 42, &[0, 0, 4, 1]),
    ] {
        let mut file = whole.clone();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        refused.push((what, file));
    }
    refused.push(("data after the end", [&*whole, b"behind it"].concat()));
    insta::assert_snapshot!(crate::recorded(refused));
}

fn package() -> Vec<u8> {
    tar(|tar| {
        tar.member(b"usr/a", b'0', b"content").pkginfo().end();
    })
}

#[test]
fn concatenates_consecutive_streams() {
    let package = package();
    let second = tar(|tar| {
        tar.pkginfo();
    });
    for (what, compress) in compressions() {
        assert!(read_bytes(&compress(&package)).is_ok(), "{what}");
        // Truncated within a member.
        let (start, rest) = package.split_at(700);
        let parts = [compress(start), compress(rest)].concat();
        assert!(read_bytes(&parts).is_ok(), "{what} in two streams");
        let hidden = [compress(&second), compress(&package)].concat();
        assert!(refusal(&hidden).contains("two members"), "{what}");
    }
}

#[test]
fn rejects_data_after_the_end_of_the_archive() {
    let package = package();
    let other = tar(|tar| {
        tar.member(b".PKGINFO", b'0', PKGINFO).end();
    });
    let filled = [package.clone(), vec![0; 9_216]].concat();
    for (what, compress) in compressions() {
        assert!(read_bytes(&compress(&filled)).is_ok(), "{what}");
        for twice in [
            compress(&[package.clone(), other.clone()].concat()),
            [compress(&package), compress(&other)].concat(),
            [compress(&filled), compress(b"x")].concat(),
        ] {
            assert!(refusal(&twice).contains("follows the end"), "{what}");
        }
        if what != "none" {
            refusal(&[compress(&package), b"behind the stream".to_vec()].concat());
        }
    }
}

#[test]
fn rejects_truncated_archives() {
    let package = package();
    for (what, compress) in compressions() {
        let whole = compress(&package);
        for length in (0..whole.len()).step_by(13) {
            let error = read_bytes(&whole[..length]);
            // The last of the empty blocks may be missing: other tools write one, too.
            let is_ended = what == "none" && length >= package.len() - 512;
            assert!(
                error.is_err() || is_ended,
                "{what}: {length} of {}",
                whole.len()
            );
        }
        let unended = &package[..package.len() - 1024];
        refusal(&compress(unended));
        refusal(&compress(
            &[unended, &crate::archives::header(b"x", b'x', 0)[..]].concat(),
        ));
    }
}

#[test]
fn rejects_other_formats() {
    for bytes in [
        &b""[..],
        b"this is not a package",
        b"BZh91AY&SY",
        b"LZIP\x01",
        b"\x04\x22\x4d\x18",
        b"PK\x03\x04",
        b"070701",
    ] {
        refusal(bytes);
    }
    let nested = zstd::bulk::compress(&zstd::bulk::compress(&package(), 1).unwrap(), 1).unwrap();
    refusal(&nested);
}

#[test]
fn rejects_archives_that_look_compressed() {
    for name in [
        &b"BZh91AY&SY"[..],
        b"begin 644 x",
        b"LZIP\x01",
        b"\x1f\x9d\x90",
        b"\x04\x22\x4d\x18",
        b"\x5d\0\0",
    ] {
        let archive = tar(|tar| {
            tar.member(name, b'0', b"").pkginfo().end();
        });
        for (_, compress) in compressions() {
            refusal(&compress(&archive));
        }
    }
}
