//! Package files that builds may leave: written by makepkg, or by an attacker.

// Clippy's exemption for tests covers test functions only, not their helpers.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "everything here is a test"
)]

mod anything;
mod archives;
mod decompression_bombs;
mod elf;
mod makepkg;
mod members;
mod refusals;
mod streams;

use std::path::Path;

use buildbtw_package::{Package, PackageError};

const NAME: &str = "a-1-1-any.pkg.tar.zst";
const PKGINFO: &[u8] = b"pkgname = a\npkgbase = a\npkgver = 1-1\narch = any\n";

fn read(path: &Path) -> Result<Package, PackageError> {
    Package::read(path, &NAME.parse().unwrap(), &"a".parse().unwrap(), &|| {
        false
    })
}

fn read_bytes(bytes: &[u8]) -> Result<Package, PackageError> {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs_err::write(file.path(), bytes).unwrap();
    read(file.path())
}

/// Reads a package that must be rejected permanently; returns the reason.
fn refusal(bytes: &[u8]) -> String {
    match read_bytes(bytes) {
        Err(error @ (PackageError::Archive(_) | PackageError::Refused(_))) => error.to_string(),
        other => panic!("not rejected: {other:?}"),
    }
}

/// Returns one line per refused package, for snapshots.
fn recorded<N: std::fmt::Display>(packages: impl IntoIterator<Item = (N, Vec<u8>)>) -> String {
    let record = |(name, bytes): (N, Vec<u8>)| {
        let error = read_bytes(&bytes).unwrap_err();
        format!("{name}: {error}")
    };
    let lines: Vec<String> = packages.into_iter().map(record).collect();
    lines.join("\n")
}
