//! The terminal of a person, for shells and commands in sandboxes.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::fchown;
use std::path::PathBuf;

use fs_err::os::unix::fs::OpenOptionsExt as _;
use nix::fcntl::OFlag;
use serde::{Deserialize, Serialize};

use crate::sys;

/// A terminal that a sandbox may use: the side of a pseudo-terminal that is for programs, which nothing else uses. In the
/// terminal of this program, the sandbox could enter commands for the shell that started it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terminal {
    /// Its path.
    pub path: PathBuf,
    /// Its kind: `TERM`.
    pub kind: String,
}

impl Terminal {
    /// Opens it for programs of a user, who may open it again by the links in `/proc/self/fd`.
    pub(crate) fn open(&self, uid: u32) -> io::Result<File> {
        let mut options = fs_err::OpenOptions::new();
        options
            .read(true)
            .write(true)
            // The session of the helper must not get it.
            .custom_flags(OFlag::O_NOCTTY.bits());
        let terminal = options.open(&self.path)?.into_parts().0;
        fchown(&terminal, Some(uid), None)?;
        Ok(terminal)
    }

    /// Sets the size of a terminal, given by either side of it. Its foreground processes get SIGWINCH.
    ///
    /// # Errors
    /// When it is not a terminal.
    pub fn resize(terminal: &impl AsFd, lines: u16, columns: u16) -> io::Result<()> {
        let terminal: BorrowedFd<'_> = terminal.as_fd();
        sys::set_terminal_size(terminal, lines, columns)
    }
}
