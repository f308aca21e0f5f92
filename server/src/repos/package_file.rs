//! Reads what a package file says about itself: `.PKGINFO` and the list of its files, as repo-add(8)
//! does. Package files come from hostile builds, so everything is bounded.
//!
//! The values of `.PKGINFO` are taken as they are: repositories hold packagers without an address
//! and licences that are no SPDX expressions, and pacman does not mind.

use std::fmt::Write as _;
use std::io::{self, Read};
use std::path::Path;

use buildbtw_model::{PackageFileName, Pkgbase, Sha256Digest};

/// A larger `.PKGINFO` is not one.
const MAX_PKGINFO: u64 = 4 * 1024 * 1024;
/// More files than any package has.
const MAX_ENTRIES: usize = 1_000_000;
/// More bytes than any package unpacks to.
const MAX_UNPACKED: u64 = 64 << 30;

/// Why a file is not a package that can be published.
#[derive(Debug, thiserror::Error)]
pub enum PackageFileError {
    /// It cannot be read from disk.
    #[error("cannot read the package: {0}")]
    Io(#[from] io::Error),
    /// It is no archive, or a damaged one.
    #[error("not a readable package archive: {0}")]
    Archive(io::Error),
    /// Its metadata is missing, or contradicts its name.
    #[error("{0}")]
    Metadata(String),
}

/// What a package says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackageMetadata {
    fields: Vec<(String, String)>,
    files: Vec<String>,
}

/// Opens an archive by its first bytes: zstd, xz, gzip, or none of them.
fn decompress(mut file: fs_err::File) -> io::Result<Box<dyn Read>> {
    use io::Seek as _;
    let mut magic = [0; 6];
    let length = file.read(&mut magic)?;
    file.rewind()?;
    let file = io::BufReader::with_capacity(256 * 1024, file);
    Ok(match &magic[..length] {
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Box::new(zstd::Decoder::with_buffer(file)?),
        [0xfd, b'7', b'z', b'X', b'Z', 0] => Box::new(liblzma::read::XzDecoder::new(file)),
        [0x1f, 0x8b, ..] => Box::new(flate2::bufread::MultiGzDecoder::new(file)),
        _ => Box::new(file),
    })
}

impl PackageMetadata {
    /// Reads a package and checks that it is what its file name says. Blocking.
    ///
    /// # Errors
    /// When it is not.
    pub fn read(
        path: &Path,
        name: &PackageFileName,
        pkgbase: &Pkgbase,
    ) -> Result<Self, PackageFileError> {
        let reader = decompress(fs_err::File::open(path)?)?.take(MAX_UNPACKED);
        let mut archive = tar::Archive::new(reader);
        let mut pkginfo = None;
        let mut files = Vec::new();
        for entry in archive.entries().map_err(PackageFileError::Archive)? {
            let mut entry = entry.map_err(PackageFileError::Archive)?;
            let kind = entry.header().entry_type();
            let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            if path.contains(['\n', '\0'])
                || path.starts_with('/')
                || path.split('/').any(|part| part == "..")
            {
                let text = format!("it holds a file with the name {path:?}");
                return Err(PackageFileError::Metadata(text));
            }
            if path == ".PKGINFO" && kind.is_file() {
                let mut text = String::new();
                (&mut entry)
                    .take(MAX_PKGINFO)
                    .read_to_string(&mut text)
                    .map_err(PackageFileError::Archive)?;
                pkginfo = Some(text);
            } else if !path.starts_with('.') {
                let slash = if kind.is_dir() && !path.ends_with('/') {
                    "/"
                } else {
                    ""
                };
                files.push(format!("{path}{slash}"));
                if files.len() > MAX_ENTRIES {
                    return Err(PackageFileError::Metadata("it holds too many files".into()));
                }
            }
        }
        let Some(pkginfo) = pkginfo else {
            return Err(PackageFileError::Metadata("it has no .PKGINFO".into()));
        };
        files.sort_unstable();
        let this = Self {
            fields: parse_pkginfo(&pkginfo),
            files,
        };
        this.check(name, pkgbase)?;
        Ok(this)
    }

    fn check(&self, name: &PackageFileName, pkgbase: &Pkgbase) -> Result<(), PackageFileError> {
        // In a `desc` such a value would begin a section of its own.
        let is_heading =
            |value: &str| value.len() > 1 && value.starts_with('%') && value.ends_with('%');
        if let Some((key, value)) = self.fields.iter().find(|(_, value)| is_heading(value)) {
            let text = format!(".PKGINFO says {key} = {value}, which no repository can list");
            return Err(PackageFileError::Metadata(text));
        }
        let expected = [
            ("pkgname", name.pkgname().to_string()),
            ("pkgver", name.version().to_string()),
            ("arch", name.architecture().to_string()),
        ];
        for (key, expected) in expected {
            let found = self.first(key).unwrap_or("nothing");
            if found != expected {
                return Err(PackageFileError::Metadata(format!(
                    ".PKGINFO says {key} = {found}, the file name says {expected}"
                )));
            }
        }
        match self.first("pkgbase") {
            Some(found) if found != pkgbase.as_str() => Err(PackageFileError::Metadata(format!(
                ".PKGINFO says pkgbase = {found}, the build is of {pkgbase}"
            ))),
            _ => Ok(()),
        }
    }

    fn first(&self, key: &str) -> Option<&str> {
        self.fields
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.as_str())
    }

    /// The `desc` entry of the repository database.
    #[must_use]
    pub fn desc(&self, file: &PackageFileName, size: u64, sha256: &Sha256Digest) -> String {
        let mut text = String::new();
        let mut section = |key: &str, values: &[&str]| {
            if !values.is_empty() {
                // Writing to a string cannot fail.
                let _ = writeln!(text, "%{key}%\n{}\n", values.join("\n"));
            }
        };
        section("FILENAME", &[file.as_str()]);
        // The order is repo-add's.
        let fields = [
            ("NAME", "pkgname"),
            ("BASE", "pkgbase"),
            ("VERSION", "pkgver"),
            ("DESC", "pkgdesc"),
            ("GROUPS", "group"),
            ("CSIZE", ""),
            ("ISIZE", "size"),
            ("SHA256SUM", ""),
            ("URL", "url"),
            ("LICENSE", "license"),
            ("ARCH", "arch"),
            ("BUILDDATE", "builddate"),
            ("PACKAGER", "packager"),
            ("REPLACES", "replaces"),
            ("CONFLICTS", "conflict"),
            ("PROVIDES", "provides"),
            ("DEPENDS", "depend"),
            ("OPTDEPENDS", "optdepend"),
            ("MAKEDEPENDS", "makedepend"),
            ("CHECKDEPENDS", "checkdepend"),
        ];
        let size = size.to_string();
        for (key, field) in fields {
            match key {
                "CSIZE" => section(key, &[&size]),
                "SHA256SUM" => section(key, &[sha256.as_str()]),
                _ => {
                    let values = self.fields.iter().filter(|(name, _)| name == field);
                    let values: Vec<_> = values.map(|(_, value)| value.as_str()).collect();
                    section(key, &values);
                }
            }
        }
        text
    }

    /// The `files` entry of the repository database.
    #[must_use]
    pub fn files(&self) -> String {
        let mut text = String::from("%FILES%\n");
        for file in &self.files {
            text.push_str(file);
            text.push('\n');
        }
        text
    }
}

/// The `key = value` lines of a `.PKGINFO`, comments left out.
fn parse_pkginfo(text: &str) -> Vec<(String, String)> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()))
        .filter(|(_, value)| !value.is_empty())
        .collect()
}
