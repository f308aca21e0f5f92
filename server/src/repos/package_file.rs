//! Entries of a repository database for package files, in the format of repo-add(8).

use std::fmt::Write as _;
use std::path::Path;

use buildbtw_model::{PackageFileName, Pkgbase, Sha256Digest};
use buildbtw_package::Package;

pub use buildbtw_package::PackageError;

/// The metadata of a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackageMetadata(Package);

impl PackageMetadata {
    /// Reads a package and checks that its contents match its file name, until `stop` returns true. Blocking.
    ///
    /// # Errors
    /// When the package is invalid or does not match.
    pub fn read(
        path: &Path,
        name: &PackageFileName,
        pkgbase: &Pkgbase,
        stop: &dyn Fn() -> bool,
    ) -> Result<Self, PackageError> {
        Package::read(path, name, pkgbase, stop).map(Self)
    }

    /// Returns the `desc` entry of the repository database.
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
        // In the order of repo-add.
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
                    let values: Vec<_> = self.0.info.values(field).collect();
                    section(key, &values);
                }
            }
        }
        text
    }

    /// Returns the shared libraries that the package contains and links, one per line.
    #[must_use]
    pub fn sonames(&self) -> String {
        self.0.sonames.to_string()
    }

    /// Returns the `files` entry of the repository database.
    #[must_use]
    pub fn into_files(self) -> String {
        self.0.files
    }
}

/// Returns why a package is rejected, for its uploader.
#[must_use]
pub fn explain(error: &PackageError) -> String {
    match error {
        PackageError::Mismatch {
            key,
            found,
            expected,
        } => {
            let found = if found.is_empty() { "nothing" } else { found };
            if *key == "pkgbase" {
                format!(".PKGINFO has {key} = {found}, but the build is of {expected}")
            } else {
                format!(".PKGINFO has {key} = {found}, but the file name has {expected}")
            }
        }
        error => error.to_string(),
    }
}
