//! Finds programs of the host.

use std::path::{Path, PathBuf};

/// Returns the path of a program in [`SEARCH_PATH`].
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    SEARCH_PATH
        .split(':')
        .map(|folder| Path::new(folder).join(name))
        .find(|path| path.is_file())
}

/// `PATH` of everything that the sandbox starts; never the caller's.
pub(crate) const SEARCH_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
