//! Package files as builds may leave them: by makepkg, and by whoever wants to harm the reader.

// Clippy's leave for tests reaches only functions that are tests themselves.
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
mod bombs;
mod elf;
mod makepkg;
mod members;
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

/// Reads what must be refused for good; returns the reason.
fn refusal(bytes: &[u8]) -> String {
    match read_bytes(bytes) {
        Err(error @ (PackageError::Archive(_) | PackageError::Refused(_))) => error.to_string(),
        other => panic!("not refused: {other:?}"),
    }
}
