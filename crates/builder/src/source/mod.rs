//! The tree with the PKGBUILD and its sources. All of it is untrusted; none of it is executed here.

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

use nix::fcntl::{self, OFlag, OpenHow, ResolveFlag};
use nix::sys::stat::Mode;

/// Returns the host of a URL, without name, password and port.
pub(crate) fn host_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    match host.strip_prefix('[').and_then(|host| host.split_once(']')) {
        Some((address, _)) => address,
        None => host.split_once(':').map_or(host, |(name, _)| name),
    }
}

/// Reads at most `most` bytes of an untrusted file. Accepts only regular files, and does not follow a
/// symlink.
pub(crate) fn read_regular(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_regular(path)?.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Opens an untrusted file. Accepts only regular files, and does not follow a symlink.
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

/// Opens a regular file of an untrusted tree, also through a symlink that stays in the tree.
pub(crate) fn open_in_tree(tree: &Path, name: &str) -> io::Result<File> {
    let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let folder = fcntl::open(tree, flags, Mode::empty())?;
    let how = OpenHow::new()
        .flags(OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    let file = File::from(fcntl::openat2(&folder, name, how)?);
    if !file.metadata()?.is_file() {
        return Err(io::Error::other(format!("{name} is not a file")));
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extracts_host_of_url() {
        for (url, host) in [
            ("https://example.org/x:y@z", "example.org"),
            ("https://user:pw@example.org:8080?x", "example.org"),
            ("http://[2001:db8::1]:80/", "2001:db8::1"),
            ("ftp://192.0.2.1", "192.0.2.1"),
            ("example.org:80", "example.org"),
        ] {
            assert_eq!(host_of(url), host, "{url}");
        }
    }
}
