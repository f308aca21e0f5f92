//! Writes repository databases in the form of repo-add(8): a compressed tar archive with a folder
//! `name-version` per package, `desc` in each, and in the `.files` variant `files` too.

use std::io;

use buildbtw_model::{PackageVersion, Pkgname};

/// What a database says about one package.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// The package's name.
    pub name: &'a Pkgname,
    /// Its version.
    pub version: &'a PackageVersion,
    /// Its `desc`.
    pub desc: &'a str,
    /// Its `files`; left out of a database without file lists.
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

/// The fastest level: databases are written often and fetched over short ways.
pub(super) fn compress(bytes: &[u8]) -> io::Result<Vec<u8>> {
    zstd::bulk::compress(bytes, 1)
}

/// The members of the archive, without its end.
pub(super) fn members<'a>(entries: impl IntoIterator<Item = Entry<'a>>) -> io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for entry in entries {
        let folder = format!("{}-{}", entry.name, entry.version);
        append(
            &mut archive,
            tar::EntryType::Directory,
            &format!("{folder}/"),
            b"",
        )?;
        let desc = entry.desc.as_bytes();
        append(
            &mut archive,
            tar::EntryType::Regular,
            &format!("{folder}/desc"),
            desc,
        )?;
        if let Some(files) = entry.files {
            let files = files.as_bytes();
            append(
                &mut archive,
                tar::EntryType::Regular,
                &format!("{folder}/files"),
                files,
            )?;
        }
    }
    let mut bytes = archive.into_inner()?;
    bytes.truncate(bytes.len() - TRAILER.len());
    Ok(bytes)
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
