//! The tree with the PKGBUILD and the sources it lists. All of it is written by strangers; none of
//! it is executed here.

pub(crate) mod access;
pub(crate) mod bump;
pub(crate) mod checkout;
pub(crate) mod entry;
pub(crate) mod srcinfo;

use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use nix::fcntl::OFlag;

/// Reads a file that strangers may have made: only a regular one, without following a symlink, and
/// not more than `most` bytes of it.
pub(crate) fn read_regular(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let no_follow = (OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits();
    let mut options = std::fs::OpenOptions::new();
    let file = options.read(true).custom_flags(no_follow).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other(format!(
            "{} is not a file",
            path.display()
        )));
    }
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}
