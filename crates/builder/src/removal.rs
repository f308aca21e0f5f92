//! Deleting folders without deleting what is mounted in them.

use std::io;
use std::path::Path;

/// Removes a folder and everything in it, unless a file system is mounted there or below: what is
/// mounted belongs to somebody else.
///
/// # Errors
///
/// When something is mounted, or cannot be removed.
pub fn remove_folder(folder: &Path) -> io::Result<()> {
    let folder = fs_err::canonicalize(folder)?;
    let mounts = fs_err::read_to_string("/proc/self/mountinfo")?;
    if let Some(mounted) = mounted_below(&mounts, &folder) {
        return Err(io::Error::other(format!(
            "{mounted} is mounted; {} is not deleted",
            folder.display()
        )));
    }
    fs_err::remove_dir_all(folder)
}

/// The first mount point at or below a folder.
fn mounted_below<'a>(mountinfo: &'a str, folder: &Path) -> Option<&'a str> {
    mountinfo
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .find(|point| Path::new(&unescape(point)).starts_with(folder))
}

/// Blanks and the like are octal there.
fn unescape(text: &str) -> String {
    text.replace("\\040", " ")
        .replace("\\011", "\t")
        .replace("\\012", "\n")
        .replace("\\134", "\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_below_are_seen() {
        let info = "1 0 8:1 / / rw - ext4 x rw\n2 1 0:5 / /s/a\\040b/low ro - ext4 x rw\n";
        assert_eq!(
            mounted_below(info, Path::new("/s/a b")),
            Some("/s/a\\040b/low")
        );
        assert_eq!(mounted_below(info, Path::new("/s/a")), None);
    }
}
