//! The tree with the PKGBUILD and the sources it lists. All of it is written by strangers; none of
//! it is executed here.

pub(crate) mod access;
pub(crate) mod assignments;
pub(crate) mod checkout;
pub(crate) mod entry;
pub(crate) mod pins;
pub(crate) mod pkgbuild;
pub(crate) mod renamed;
pub(crate) mod srcinfo;

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use nix::fcntl::OFlag;

/// Reads a file that strangers may have made: only a regular one, without following a symlink, and
/// not more than `most` bytes of it.
pub(crate) fn read_regular(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_regular(path)?.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Opens a file that strangers may have made: only a regular one, without following a symlink.
pub(crate) fn open_regular(path: &Path) -> io::Result<File> {
    let no_follow = (OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits();
    let mut options = std::fs::OpenOptions::new();
    let file = options.read(true).custom_flags(no_follow).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other(format!(
            "{} is not a file",
            path.display()
        )));
    }
    Ok(file)
}
