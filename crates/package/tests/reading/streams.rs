//! Compressed streams: several in a row, cut off, and with something behind them.

use std::io::{Read as _, Write as _};

use crate::archives::tar;
use crate::{PKGINFO, read_bytes, refusal};

type Compress = fn(&[u8]) -> Vec<u8>;

fn compressions() -> [(&'static str, Compress); 4] {
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
    ]
}

fn package() -> Vec<u8> {
    tar(|tar| {
        tar.member(b"usr/a", b'0', b"content").pkginfo().end();
    })
}

#[test]
fn streams_in_a_row_are_one() {
    let package = package();
    let second = tar(|tar| {
        tar.pkginfo();
    });
    for (what, compress) in compressions() {
        assert!(read_bytes(&compress(&package)).is_ok(), "{what}");
        // Cut within a member.
        let (start, rest) = package.split_at(700);
        let parts = [compress(start), compress(rest)].concat();
        assert!(read_bytes(&parts).is_ok(), "{what} in two streams");
        let hidden = [compress(&second), compress(&package)].concat();
        assert!(refusal(&hidden).contains("two members"), "{what}");
    }
}

#[test]
fn nothing_follows_the_end_of_the_archive() {
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
fn what_is_cut_off_is_refused() {
    let package = package();
    for (what, compress) in compressions() {
        let whole = compress(&package);
        for length in (0..whole.len()).step_by(13) {
            let error = read_bytes(&whole[..length]);
            // The last of the empty blocks may be missing: other archives have one, too.
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
fn other_formats_are_refused() {
    for bytes in [
        &b""[..],
        b"this is no package",
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
fn archives_that_look_compressed_are_refused() {
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
