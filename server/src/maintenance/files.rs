//! Files of a data folder, as checks read them.

use std::io;
use std::path::{Path, PathBuf};

use buildbtw_model::{Explanation, Sha256Digest};
use sha2::Digest as _;

use crate::owner::unusable;
use crate::run::{DATABASE_FILE, ensure_restored};

/// Returns the paths in a folder in order; none if there is no such folder.
pub(super) fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    match fs_err::read_dir(folder) {
        // A file in place of a folder is an orphan of the folder that contains it.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) => {}
        listed => {
            for entry in listed? {
                paths.push(entry?.path());
            }
        }
    }
    paths.sort_unstable();
    Ok(paths)
}

/// Returns whether a repository database has this content, whatever its compression.
pub(super) fn is_content(path: &Path, content: &[u8]) -> io::Result<bool> {
    match fs_err::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        read => Ok(unpacked(&read?).ok() == Some(unpacked(content)?)),
    }
}

/// Returns the digest of a database's content, independent of its compression.
fn unpacked(database: &[u8]) -> io::Result<Sha256Digest> {
    let mut hasher = Hasher(sha2::Sha256::new());
    zstd::stream::copy_decode(database, &mut hasher)?;
    Ok(Sha256Digest::from_bytes(&hasher.0.finalize().into()))
}

struct Hasher(sha2::Sha256);

impl io::Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Removes a file or folder.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    if path.symlink_metadata()?.is_dir() {
        fs_err::remove_dir_all(path)
    } else {
        fs_err::remove_file(path)
    }
}

/// Returns the digest of a file.
pub(super) fn digest(path: &Path) -> anyhow::Result<Sha256Digest> {
    let mut file = fs_err::File::open(path)?;
    let mut hasher = sha2::Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        // Not with fs_err, whose error names the path a second time.
        let read = io::Read::read(file.file_mut(), &mut buffer);
        match read.map_err(|error| unreadable(path, &error))? {
            0 => break,
            count => hasher.update(buffer.get(..count).unwrap_or_default()),
        }
    }
    Ok(Sha256Digest::from_bytes(&hasher.finalize().into()))
}

/// Creates the explanation for a package on a disk that fails.
fn unreadable(path: &Path, error: &io::Error) -> Explanation {
    Explanation::with_hint(
        format!("cannot read the package `{}`: {error}", path.display()),
        "check the disk; restore the newest backup on another disk if it is damaged",
    )
}

/// Checks that a data folder has a database, and that no restore into it was interrupted.
///
/// # Errors
/// When it has none, a restore was interrupted, or the folder cannot be used.
pub(super) fn ensure_database(data: &Path) -> anyhow::Result<()> {
    ensure_restored(data)?;
    let path = data.join(DATABASE_FILE);
    let exists = path.try_exists().map_err(|error| unusable(data, &error))?;
    anyhow::ensure!(exists, no_database(&path));
    Ok(())
}

/// Creates the explanation for a data folder without a database.
fn no_database(path: &Path) -> Explanation {
    Explanation::with_hint(
        format!("database `{}` not found", path.display()),
        "set --data-dir to the server's data folder",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn explanations_match_snapshot() {
        let package = Path::new("/srv/data/repos/set/1/x86_64/a-1-1-any.pkg.tar.zst");
        let explanations = [
            unreadable(package, &io::Error::from_raw_os_error(5)),
            no_database(Path::new("/srv/data/buildbtw.sqlite3")),
        ];
        insta::assert_snapshot!(explanations.map(|text| text.to_string()).join("\n\n"));
    }
}
