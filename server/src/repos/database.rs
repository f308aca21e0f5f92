//! Writes repository databases in the format of repo-add(8): a compressed tar archive with a folder `name-version`
//! per package, which contains `desc` and in the `.files` variant `files`.

use std::io;

use buildbtw_model::{PackageVersion, Pkgname};

/// The entry of one package.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// The package's name.
    pub name: &'a Pkgname,
    /// Its version.
    pub version: &'a PackageVersion,
    /// Its `desc`.
    pub desc: &'a str,
    /// Its `files`; `None` in a database without file lists.
    pub files: Option<&'a str>,
}

/// Two empty blocks end an archive (tar(5), "General Format").
pub(super) const TRAILER: [u8; 1024] = [0; 1024];

/// Renders a database. The same entries give the same bytes.
///
/// # Errors
/// Only when memory runs out.
pub fn render<'a>(entries: impl IntoIterator<Item = Entry<'a>>) -> io::Result<Vec<u8>> {
    let mut archive = members(entries)?;
    archive.extend_from_slice(&TRAILER);
    compress(&archive)
}

/// Writes a database entry by entry, and keeps only the compressed form.
pub struct DatabaseWriter(tar::Builder<zstd::Encoder<'static, Vec<u8>>>);

impl DatabaseWriter {
    /// Creates an empty database.
    ///
    /// # Errors
    /// Only when memory runs out.
    pub fn new() -> io::Result<Self> {
        let encoder = zstd::Encoder::new(Vec::new(), LEVEL)?;
        Ok(Self(tar::Builder::new(encoder)))
    }

    /// Adds an entry.
    ///
    /// # Errors
    /// Only when memory runs out.
    pub fn append(&mut self, entry: &Entry<'_>) -> io::Result<()> {
        append_entry(&mut self.0, entry)
    }

    /// Returns the bytes of the file. The same entries give the same bytes.
    ///
    /// # Errors
    /// Only when memory runs out.
    pub fn finish(self) -> io::Result<Vec<u8>> {
        self.0.into_inner()?.finish()
    }
}

/// The fastest level, because databases are written often and fetched over fast networks.
const LEVEL: i32 = 1;

pub(super) fn compress(bytes: &[u8]) -> io::Result<Vec<u8>> {
    zstd::bulk::compress(bytes, LEVEL)
}

/// Returns the members of the archive, without its trailer.
pub(super) fn members<'a>(entries: impl IntoIterator<Item = Entry<'a>>) -> io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for entry in entries {
        append_entry(&mut archive, &entry)?;
    }
    let mut bytes = archive.into_inner()?;
    bytes.truncate(bytes.len() - TRAILER.len());
    Ok(bytes)
}

fn append_entry<W: io::Write>(archive: &mut tar::Builder<W>, entry: &Entry<'_>) -> io::Result<()> {
    let folder = format!("{}-{}", entry.name, entry.version);
    let folder_kind = tar::EntryType::Directory;
    append(archive, folder_kind, &format!("{folder}/"), b"")?;
    let members = [("desc", Some(entry.desc)), ("files", entry.files)];
    for (name, content) in members {
        if let Some(content) = content {
            let path = format!("{folder}/{name}");
            append(archive, tar::EntryType::Regular, &path, content.as_bytes())?;
        }
    }
    Ok(())
}

fn append<W: io::Write>(
    archive: &mut tar::Builder<W>,
    kind: tar::EntryType,
    path: &str,
    content: &[u8],
) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(content.len() as u64);
    header.set_mode(if kind.is_dir() { 0o755 } else { 0o644 });
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    archive.append_data(&mut header, path, content)
}
