//! Programs of this machine.

use std::path::{Path, PathBuf};

/// Where a program is, looking where the sandbox looks.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    SEARCH_PATH
        .split(':')
        .map(|folder| Path::new(folder).join(name))
        .find(|path| path.is_file())
}

/// `PATH` of everything the sandbox starts; never the caller's.
pub(crate) const SEARCH_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
