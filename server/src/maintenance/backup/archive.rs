//! Backups as tar archives.

use std::io::{self, BufRead as _, Read, Write};
use std::path::{Path, PathBuf};

use tar::{Archive, Builder, EntryType, Header};

use super::explanations;
use super::tree::{SameFiles, Totals, create_parent, is_allowed, restrict};

/// Writes files below a folder as an archive. What is stored once is stored once in the archive, too.
///
/// # Errors
/// When a file cannot be read, or the archive cannot be written.
pub(super) fn write(root: &Path, paths: &[PathBuf], output: impl Write) -> anyhow::Result<Totals> {
    let mut archive = Builder::new(io::BufWriter::with_capacity(1 << 20, output));
    let mut seen = SameFiles::default();
    let mut totals = Totals::default();
    for path in paths {
        let mut file = fs_err::File::open(root.join(path))?;
        let metadata = file.metadata()?;
        let mut header = Header::new_gnu();
        header.set_mode(0o600);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(modified(&metadata));
        if let Some(first) = seen.first(path, &metadata) {
            header.set_entry_type(EntryType::Link);
            header.set_size(0);
            archive
                .append_link(&mut header, path, &first)
                .map_err(|error| explanations::archive_not_written(&error))?;
            continue;
        }
        header.set_entry_type(EntryType::Regular);
        header.set_size(metadata.len());
        // A last line may be written to the log of an attempt that has just ended.
        let content = (&mut file).take(metadata.len());
        archive
            .append_data(&mut header, path, content)
            .map_err(|error| explanations::archive_not_written(&error))?;
        totals.files += 1;
        totals.bytes += metadata.len();
    }
    let flushed = archive.into_inner().and_then(|mut output| output.flush());
    flushed.map_err(|error| explanations::archive_not_written(&error))?;
    Ok(totals)
}

fn modified(metadata: &std::fs::Metadata) -> u64 {
    let since = metadata
        .modified()
        .ok()
        .and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    since.map_or(0, |since| since.as_secs())
}

/// Extracts an archive into a folder, and returns the paths of its files. `rename` chooses the new path of each.
///
/// # Errors
/// When it is not an archive of a backup, or a file cannot be written.
pub(super) fn extract(
    input: impl Read,
    to: &Path,
    rename: impl Fn(&Path) -> PathBuf,
) -> anyhow::Result<(Vec<PathBuf>, Totals)> {
    let mut input = io::BufReader::with_capacity(1 << 20, input);
    let first = input
        .fill_buf()
        .map_err(|error| explanations::unreadable_archive(true, &error))?;
    if let Some(program) = compression(first) {
        anyhow::bail!(explanations::compressed_archive(program));
    }
    let mut archive = Archive::new(input);
    let mut paths = Vec::new();
    let mut totals = Totals::default();
    for entry in archive
        .entries()
        .map_err(|error| explanations::unreadable_archive(true, &error))?
    {
        let is_first = paths.is_empty();
        let problem = |error: io::Error| explanations::unreadable_archive(is_first, &error);
        let mut entry = entry.map_err(problem)?;
        let path = entry.path().map_err(problem)?.into_owned();
        let kind = entry.header().entry_type();
        if kind == EntryType::Directory {
            continue;
        }
        let link = entry.link_name().map_err(problem)?;
        let first = link.map(std::borrow::Cow::into_owned);
        let is_known = is_allowed(&path) && first.as_deref().is_none_or(is_allowed);
        anyhow::ensure!(
            is_known,
            explanations::foreign_archive(format!("it contains `{}`", path.display()))
        );
        let target = to.join(rename(&path));
        create_parent(&target)?;
        match (kind, first) {
            (EntryType::Regular, _) => {
                totals.bytes += write_file(&target, &mut entry)?;
                totals.files += 1;
            }
            (EntryType::Link, Some(first)) => {
                fs_err::hard_link(to.join(rename(&first)), &target)?;
            }
            _ => anyhow::bail!(explanations::no_file(&path)),
        }
        paths.push(path);
    }
    Ok((paths, totals))
}

/// Returns the program that has compressed what begins with these bytes.
fn compression(bytes: &[u8]) -> Option<&'static str> {
    let magic: [(&[u8], &str); 5] = [
        (b"\x1f\x8b", "gzip"),
        (b"\x28\xb5\x2f\xfd", "zstd"),
        (b"\xfd7zXZ\0", "xz"),
        (b"BZh", "bzip2"),
        (b"\x04\x22\x4d\x18", "lz4"),
    ];
    let found = magic.iter().find(|(magic, _)| bytes.starts_with(magic));
    found.map(|(_, program)| *program)
}

fn write_file(target: &Path, entry: &mut impl Read) -> anyhow::Result<u64> {
    let mut file = fs_err::File::create_new(target)?;
    // Not with fs_err, whose error names the path a second time.
    let size = io::copy(entry, file.file_mut())
        .map_err(|error| explanations::not_extracted(target, error))?;
    restrict(target)?;
    Ok(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extracted(bytes: &[u8], to: &Path) -> anyhow::Result<Vec<PathBuf>> {
        extract(bytes, to, Path::to_path_buf).map(|(paths, _)| paths)
    }

    #[test]
    fn stores_files_with_several_names_once() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        fs_err::create_dir_all(from.join("repos")).unwrap();
        fs_err::write(from.join("repos/a"), vec![7; 5000]).unwrap();
        fs_err::hard_link(from.join("repos/a"), from.join("repos/b")).unwrap();
        let long = format!("repos/{}", "x".repeat(200));
        fs_err::write(from.join(&long), "long name").unwrap();
        let paths: Vec<PathBuf> = ["repos/a", "repos/b", &long].map(PathBuf::from).into();
        let mut bytes = Vec::new();
        let written = write(&from, &paths, &mut bytes).unwrap();
        assert_eq!(
            written,
            Totals {
                files: 2,
                bytes: 5009
            }
        );
        let (found, read) = extract(&*bytes, &to, Path::to_path_buf).unwrap();
        assert_eq!((found, read), (paths, written));
        assert_eq!(fs_err::read(to.join("repos/b")).unwrap(), vec![7; 5000]);
        let inode = |name: &str| {
            let metadata = fs_err::metadata(to.join(name)).unwrap();
            std::os::unix::fs::MetadataExt::ino(&metadata)
        };
        assert_eq!(inode("repos/a"), inode("repos/b"));
    }

    #[test]
    fn rejects_foreign_archives() {
        let folder = tempfile::tempdir().unwrap();
        let hostile = |kind: EntryType, path: &str, link: &str| {
            let mut archive = Builder::new(Vec::new());
            let mut header = Header::new_gnu();
            header.set_entry_type(kind);
            header.set_size(0);
            // The names are written as they are: the crate would refuse them.
            header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
            header.as_mut_bytes()[157..157 + link.len()].copy_from_slice(link.as_bytes());
            header.set_cksum();
            archive.append(&header, io::empty()).unwrap();
            archive.into_inner().unwrap()
        };
        for (kind, path, link) in [
            (EntryType::Regular, "../outside", ""),
            (EntryType::Regular, "/outside", ""),
            (EntryType::Regular, "admin-token", ""),
            (EntryType::Symlink, "logs/1.log", "/etc/passwd"),
            (EntryType::Symlink, "logs/1.log", "logs/2.log"),
            (EntryType::Link, "logs/1.log", "/etc/passwd"),
            (EntryType::Link, "logs/1.log", "../../etc/passwd"),
            (EntryType::Char, "logs/1.log", ""),
        ] {
            let archive = hostile(kind, path, link);
            let refused = extracted(&archive, folder.path()).unwrap_err().to_string();
            assert!(refused.contains("not a backup"), "{path}: {refused}");
        }
        for (bytes, part) in [
            (&[7; 4096][..], "it is not a tar archive"),
            (b"\x1f\x8b\x08\0rest", "compressed with gzip"),
            (&zstd::encode_all(&[7; 4096][..], 0).unwrap(), "zstd -dc"),
        ] {
            let refused = extracted(bytes, folder.path()).unwrap_err().to_string();
            assert!(refused.contains(part), "{refused}");
            assert!(!refused.contains('\u{7}'), "{refused:?}");
        }
        let left: Vec<_> = files_of(folder.path());
        assert_eq!(left, [""; 0]);
    }

    fn files_of(folder: &Path) -> Vec<String> {
        let names = fs_err::read_dir(folder).unwrap().flat_map(|entry| {
            let path = entry.unwrap().path();
            let is_empty = path.is_dir() && fs_err::read_dir(&path).unwrap().next().is_none();
            (!is_empty).then(|| path.display().to_string())
        });
        names.collect()
    }
}
