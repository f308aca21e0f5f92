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

/// Renders a database. The same entries give the same bytes.
///
/// # Errors
/// Only when memory runs out.
pub fn render<'a>(entries: impl IntoIterator<Item = Entry<'a>>) -> io::Result<Vec<u8>> {
    // The fastest level: databases are written often and fetched over short ways.
    let encoder = zstd::Encoder::new(Vec::new(), 1)?;
    let mut archive = tar::Builder::new(encoder);
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
    archive.into_inner()?.finish()
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
