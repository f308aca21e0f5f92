//! Reads a package file from its beginning to its end.

use std::path::Path;

use buildbtw_model::{PackageFileName, Pkgbase};

use crate::archive::{Archive, Kind};
use crate::error::PackageError;
use crate::info::PackageInfo;
use crate::list::FileList;
use crate::sonames::{self, Sonames};
use crate::{compression, elf};

/// A larger `.PKGINFO` is not one.
const MAX_PKGINFO: u64 = 1 << 20;
const PKGINFO: &str = ".PKGINFO";
/// A larger one names more installed packages than there are; it is not read.
const MAX_BUILDINFO: u64 = 8 << 20;
const BUILDINFO: &str = ".BUILDINFO";

/// A package that was read and checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// What it says about itself.
    pub info: PackageInfo,
    /// The `files` entry of a repository database: a heading, then a sorted line per file.
    pub files: String,
    /// The shared libraries that it has and links.
    pub sonames: Sonames,
    /// The digest of the PKGBUILD that it was made with, as its `.BUILDINFO` has it.
    pub pkgbuild_sha256: Option<String>,
}

impl Package {
    /// Reads a package to its end and checks that it is what its file name says. `stop` is asked all
    /// the time; once it answers true, reading ends. Blocking.
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
                    let why = format!("it holds two members named {PKGINFO}");
                    return Err(PackageError::Refused(why));
                }
                if member.kind != Kind::File || member.is_sparse {
                    let why = format!("its {PKGINFO} is not a regular file");
                    return Err(PackageError::Refused(why));
                }
                let text = archive.content(&member, MAX_PKGINFO)?;
                let info = PackageInfo::parse(&text).map_err(PackageError::Refused)?;
                // A lie is told at once, whatever follows.
                info.check(name, pkgbase)?;
                found = Some(info);
            } else if member.name == BUILDINFO.as_bytes() {
                let is_usual = member.kind == Kind::File && !member.is_sparse;
                if is_usual && member.size <= MAX_BUILDINFO {
                    pkgbuild_sha256 = pkgbuild_of(&archive.content(&member, MAX_BUILDINFO)?);
                }
            } else if !member.name.is_empty() && !member.name.starts_with(b".") {
                files.add(&member.name, member.is_folder)?;
                let path: &[u8] = member.name.as_ref();
                if member.kind == Kind::File
                    && !member.is_sparse
                    && sonames::counts(path)
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

/// What a `.BUILDINFO` says about the PKGBUILD.
fn pkgbuild_of(text: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(text).ok()?;
    let fields = text.lines().filter_map(|line| line.split_once('='));
    let mut digests = fields.filter(|(key, _)| key.trim() == "pkgbuild_sha256sum");
    digests.next().map(|(_, digest)| digest.trim().to_owned())
}
