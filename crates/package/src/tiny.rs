//! The smallest packages that pacman can install, for simulated builds and tests. They are written without starting a
//! process.

use std::fmt::Write as _;
use std::io;

use buildbtw_model::api::ClaimedBuild;
use buildbtw_model::{Architecture, PackageFileName, PackageVersion, Packager, Pkgbase, Pkgname};

use crate::writer::PackageWriter;

/// A package with metadata and a few files.
#[derive(Clone, Debug)]
pub struct TinyPackage {
    /// Its name.
    pub name: Pkgname,
    /// Its source package.
    pub base: Pkgbase,
    /// Its version.
    pub version: PackageVersion,
    /// Its architecture.
    pub architecture: Architecture,
    /// Who built it.
    pub packager: Packager,
    /// When it was built, in seconds since 1970.
    pub build_date: u64,
    /// Further lines of its `.PKGINFO`, for example `depend = glibc`.
    pub info: Vec<String>,
    /// Its files: path and content.
    pub files: Vec<(String, Vec<u8>)>,
}

impl TinyPackage {
    /// Creates a package without files.
    #[must_use]
    pub fn new(
        base: Pkgbase,
        name: Pkgname,
        version: PackageVersion,
        architecture: Architecture,
    ) -> Self {
        Self {
            name,
            base,
            version,
            architecture,
            packager: Packager::default(),
            build_date: 1,
            info: Vec::new(),
            files: Vec::new(),
        }
    }

    /// Creates the packages that a build must produce, with a payload of this size.
    #[must_use]
    pub fn all_of(build: &ClaimedBuild, payload: usize) -> Vec<Self> {
        let packages = build.packages.iter().map(|package| {
            let (base, name) = (build.pkgbase.clone(), package.name.clone());
            let architecture = package.architecture.clone();
            Self::new(base, name, build.version.clone(), architecture).with_payload(payload)
        });
        packages.collect()
    }

    /// Adds a file with a readable line, followed by incompressible bytes up to this size.
    #[must_use]
    pub fn with_payload(mut self, bytes: usize) -> Self {
        let mut content = format!("{} {}\n", self.name, self.version).into_bytes();
        let mut random = Random::new(&content);
        while content.len() < bytes {
            content.extend_from_slice(&random.bytes());
        }
        let path = format!("usr/share/buildbtw/{}", self.name);
        self.files.push((path, content));
        self
    }

    /// Returns its file name.
    #[must_use]
    pub fn file_name(&self) -> PackageFileName {
        PackageFileName::from_parts(&self.name, &self.version, &self.architecture)
    }

    /// Returns the content of the package file.
    ///
    /// # Errors
    /// When an archive cannot hold the path of a file.
    pub fn to_bytes(&self) -> io::Result<Vec<u8>> {
        let mut package = PackageWriter::new(self.build_date);
        package.file(".BUILDINFO", self.build_info().as_bytes())?;
        package.file(".PKGINFO", self.package_info().as_bytes())?;
        for (path, content) in &self.files {
            package.file(path, content)?;
        }
        package.finish()
    }

    fn package_info(&self) -> String {
        let mut text = String::new();
        let mut line = |key: &str, value: &dyn std::fmt::Display| {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{key} = {value}");
        };
        let size: usize = self.files.iter().map(|(_, content)| content.len()).sum();
        line("pkgname", &self.name);
        line("pkgbase", &self.base);
        line("pkgver", &self.version);
        line("pkgdesc", &"A simulated package");
        line("builddate", &self.build_date);
        line("packager", &self.packager);
        line("size", &size);
        line("arch", &self.architecture);
        for further in &self.info {
            text.push_str(further);
            text.push('\n');
        }
        text
    }

    fn build_info(&self) -> String {
        format!(
            "format = 2\npkgname = {}\npkgbase = {}\npkgver = {}\npkgarch = {}\npackager = {}\n\
             builddate = {}\nbuilddir = /build\nbuildtool = buildbtw-simulated\n",
            self.name, self.base, self.version, self.architecture, self.packager, self.build_date,
        )
    }
}

/// Bytes that look random, and are the same for the same seed: xorshift64.
struct Random(u64);

impl Random {
    fn new(seed: &[u8]) -> Self {
        // FNV-1a. The state must not be 0.
        let hash = seed.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self(hash | 1)
    }

    fn bytes(&mut self) -> [u8; 8] {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.to_le_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Package;

    #[test]
    fn writes_package_with_metadata_and_one_file() {
        let mut package = TinyPackage::new(
            "a".parse().unwrap(),
            "a".parse().unwrap(),
            "1:2-3".parse().unwrap(),
            "any".parse().unwrap(),
        )
        .with_payload(5000);
        package.info = vec!["provides = liba.so=1-64".into(), "depend = b>=1".into()];
        let bytes = package.to_bytes().unwrap();
        assert!(bytes.len() > 5000);
        let file = tempfile::NamedTempFile::new().unwrap();
        fs_err::write(file.path(), bytes).unwrap();
        let read = Package::read(file.path(), &package.file_name(), &package.base, &|| false);
        let read = read.unwrap();
        for (key, value) in [
            ("pkgver", "1:2-3"),
            ("depend", "b>=1"),
            ("provides", "liba.so=1-64"),
        ] {
            assert!(read.info.values(key).eq([value]), "{key}: {read:?}");
        }
        assert_eq!(
            read.files,
            "%FILES%\nusr/\nusr/share/\nusr/share/buildbtw/\nusr/share/buildbtw/a\n"
        );
    }
}
