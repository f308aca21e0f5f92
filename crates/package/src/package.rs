//! Reads and checks a whole package file.

use std::path::Path;

use buildbtw_model::{PackageFileName, Pkgbase};

use crate::archive::{Archive, Kind};
use crate::error::PackageError;
use crate::info::PackageInfo;
use crate::list::FileList;
use crate::sonames::{self, Sonames};
use crate::{compression, elf};

/// The largest `.PKGINFO`, in bytes.
const MAX_PKGINFO: u64 = 1 << 20;
const PKGINFO: &str = ".PKGINFO";
/// The largest `.BUILDINFO` that is read, in bytes. None of a real build is larger.
const MAX_BUILDINFO: u64 = 8 << 20;
const BUILDINFO: &str = ".BUILDINFO";

/// A package whose content was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// The metadata.
    pub info: PackageInfo,
    /// The `files` entry of a repository database: a heading, then one line per file, sorted.
    pub files: String,
    /// The shared libraries that the package contains and links.
    pub sonames: Sonames,
    /// The digest of the PKGBUILD that the package was built with, from its `.BUILDINFO`.
    pub pkgbuild_sha256: Option<String>,
}

impl Package {
    /// Reads a whole package and checks that its metadata matches the file name and pkgbase. `stop` is called for each
    /// read; when it returns true, reading stops. Blocking.
    ///
    /// # Errors
    /// When the file is not a package that can be published; see [`PackageError`].
    pub fn read(
        path: &Path,
        name: &PackageFileName,
        pkgbase: &Pkgbase,
        stop: &dyn Fn() -> bool,
    ) -> Result<Self, PackageError> {
        let mut archive = Archive::new(compression::open(path, stop)?);
        let mut found: Option<PackageInfo> = None;
        let mut files = FileList::default();
        let mut libraries = Sonames::default();
        let mut pkgbuild_sha256 = None;
        while let Some(member) = archive.next_member()? {
            if member.name == PKGINFO.as_bytes() {
                if found.is_some() {
                    let why = format!("it contains two members named {PKGINFO}");
                    return Err(PackageError::Refused(why));
                }
                if member.kind != Kind::File || member.is_sparse {
                    let why = format!("its {PKGINFO} is not a regular file");
                    return Err(PackageError::Refused(why));
                }
                let text = archive.content(&member, MAX_PKGINFO)?;
                let info = PackageInfo::parse(&text).map_err(PackageError::Refused)?;
                // Before the rest of the archive, which may be large.
                info.check(name, pkgbase)?;
                found = Some(info);
            } else if member.name == BUILDINFO.as_bytes() {
                let is_regular = member.kind == Kind::File && !member.is_sparse;
                if is_regular && member.size <= MAX_BUILDINFO {
                    pkgbuild_sha256 = pkgbuild_digest(&archive.content(&member, MAX_BUILDINFO)?);
                }
            } else if !member.name.is_empty() && !member.name.starts_with(b".") {
                files.add(&member.name, member.is_folder)?;
                let path: &[u8] = member.name.as_ref();
                if member.kind == Kind::File
                    && !member.is_sparse
                    && sonames::is_relevant(path)
                    && let Some(elf) = elf::read(&mut archive)?
                {
                    libraries.add(path, elf);
                }
            }
        }
        match found {
            Some(info) => Ok(Self {
                info,
                files: files.into_entry(),
                sonames: libraries,
                pkgbuild_sha256,
            }),
            None => Err(PackageError::refused(format!("it has no {PKGINFO}"))),
        }
    }
}

/// Returns the digest of the PKGBUILD in a `.BUILDINFO`.
fn pkgbuild_digest(text: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(text).ok()?;
    let fields = text.lines().filter_map(|line| line.split_once('='));
    let mut digests = fields.filter(|(key, _)| key.trim() == "pkgbuild_sha256sum");
    digests.next().map(|(_, digest)| digest.trim().to_owned())
}
