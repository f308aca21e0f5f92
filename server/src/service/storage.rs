//! Measures what takes space in the data folder.

use std::collections::HashSet;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use buildbtw_telemetry::spawn_blocking_named;

use crate::disk::Disk;
use crate::metrics::Metrics;
use crate::metrics::resources::StorageKind;

/// Measures the data folder, and sets the metrics. Reads the size of every file, which takes a while.
///
/// # Errors
/// When the folder cannot be read.
pub async fn measure_storage(disk: &Disk, metrics: &Metrics) -> io::Result<()> {
    let data = disk.folder().to_owned();
    let measured = spawn_blocking_named("measure data folder", move || measure(&data)).await;
    for (kind, bytes) in measured.map_err(io::Error::other)?? {
        metrics.resources.set_storage(kind, bytes);
    }
    Ok(())
}

fn measure(data: &Path) -> io::Result<Vec<(StorageKind, u64)>> {
    // A published package has a name in both folders until the next start.
    let mut seen = HashSet::new();
    StorageKind::ALL
        .into_iter()
        .map(|kind| {
            let mut bytes = 0;
            for path in paths(data, kind) {
                bytes += size_of(path, &mut seen)?;
            }
            Ok((kind, bytes))
        })
        .collect()
}

fn paths(data: &Path, kind: StorageKind) -> Vec<PathBuf> {
    let names: &[&str] = match kind {
        StorageKind::Database => &["buildbtw.sqlite3", "buildbtw.sqlite3-wal"],
        StorageKind::Repositories => &["repos"],
        StorageKind::Uploads => &["uploads"],
        StorageKind::Logs => &["logs"],
    };
    names.iter().map(|name| data.join(name)).collect()
}

/// Returns the bytes of a file, or of all files below a folder. Each file counts once, whatever names it has.
fn size_of(path: PathBuf, seen: &mut HashSet<(u64, u64)>) -> io::Result<u64> {
    let mut bytes = 0;
    let mut left = vec![path];
    while let Some(path) = left.pop() {
        let Some(metadata) = if_there(fs_err::symlink_metadata(&path))? else {
            continue;
        };
        if metadata.is_dir() {
            let Some(entries) = if_there(fs_err::read_dir(&path))? else {
                continue;
            };
            for entry in entries {
                left.push(entry?.path());
            }
        } else if metadata.nlink() < 2 || seen.insert((metadata.dev(), metadata.ino())) {
            bytes += metadata.len();
        }
    }
    Ok(bytes)
}

/// Returns `None` for a missing file: files come and go while they are counted.
fn if_there<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_linked_files_once() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path();
        for name in ["repos/ns/1/x86_64", "uploads/a", "logs"] {
            fs_err::create_dir_all(data.join(name)).unwrap();
        }
        fs_err::write(data.join("uploads/a/p.pkg.tar.zst"), [0; 100]).unwrap();
        fs_err::hard_link(
            data.join("uploads/a/p.pkg.tar.zst"),
            data.join("repos/ns/1/x86_64/p.pkg.tar.zst"),
        )
        .unwrap();
        fs_err::write(data.join("uploads/a/q.pkg.tar.zst"), [0; 7]).unwrap();
        fs_err::write(data.join("logs/a.log"), [0; 30]).unwrap();
        let expected = [
            (StorageKind::Database, 0),
            (StorageKind::Repositories, 100),
            (StorageKind::Uploads, 7),
            (StorageKind::Logs, 30),
        ];
        assert_eq!(measure(data).unwrap(), expected);
    }
}
