//! Writes the smallest package that pacman can install, with metadata and one file, without starting a
//! process.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::Path;

use buildbtw_model::{
    Architecture, PackageFileName, PackageVersion, Packager, Pkgbase, Pkgname, Sha256Digest,
};
use buildbtw_package::PackageWriter;
use sha2::{Digest as _, Sha256};

use crate::outcome::BuiltPackage;

/// The metadata of a tiny package.
#[derive(Clone, Debug)]
pub(crate) struct PackageMetadata {
    pub(crate) name: Pkgname,
    pub(crate) base: Pkgbase,
    pub(crate) version: PackageVersion,
    pub(crate) architecture: Architecture,
    pub(crate) packager: Packager,
    pub(crate) build_date: u64,
    pub(crate) depends: Vec<String>,
    pub(crate) provides: Vec<String>,
}

/// Writes the package into a folder.
pub(crate) fn write(
    metadata: &PackageMetadata,
    payload_bytes: usize,
    folder: &Path,
) -> io::Result<BuiltPackage> {
    let file_name =
        PackageFileName::from_parts(&metadata.name, &metadata.version, &metadata.architecture);
    let bytes = archive(metadata, payload_bytes)?;
    let path = folder.join(file_name.as_str());
    let mut file = fs_err::File::create(&path)?;
    file.write_all(&bytes)?;
    Ok(BuiltPackage {
        path,
        file_name,
        sha256: Sha256Digest::from_bytes(&Sha256::digest(&bytes).into()),
        size: bytes.len() as u64,
    })
}

fn archive(metadata: &PackageMetadata, payload_bytes: usize) -> io::Result<Vec<u8>> {
    let content = payload(metadata, payload_bytes);
    let mut package = PackageWriter::new(metadata.build_date);
    package.file(".BUILDINFO", build_info(metadata).as_bytes())?;
    let info = package_info(metadata, content.len());
    package.file(".PKGINFO", info.as_bytes())?;
    package.file(&format!("usr/share/buildbtw/{}", metadata.name), &content)?;
    package.finish()
}

fn package_info(metadata: &PackageMetadata, size: usize) -> String {
    let mut text = String::new();
    let mut line = |key: &str, value: &dyn std::fmt::Display| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{key} = {value}");
    };
    line("pkgname", &metadata.name);
    line("pkgbase", &metadata.base);
    line("pkgver", &metadata.version);
    line("pkgdesc", &"A simulated package");
    line("builddate", &metadata.build_date);
    line("packager", &metadata.packager);
    line("size", &size);
    line("arch", &metadata.architecture);
    for provided in &metadata.provides {
        line("provides", provided);
    }
    for dependency in &metadata.depends {
        line("depend", dependency);
    }
    text
}

fn build_info(metadata: &PackageMetadata) -> String {
    format!(
        "format = 2\npkgname = {}\npkgbase = {}\npkgver = {}\npkgarch = {}\npackager = {}\n\
         builddate = {}\nbuilddir = /build\nbuildtool = buildbtw-simulated\n",
        metadata.name,
        metadata.base,
        metadata.version,
        metadata.architecture,
        metadata.packager,
        metadata.build_date,
    )
}

/// Returns the content of the file: a readable line, followed by incompressible bytes.
fn payload(metadata: &PackageMetadata, bytes: usize) -> Vec<u8> {
    let mut content = format!("{} {}\n", metadata.name, metadata.version).into_bytes();
    let mut seed = Sha256::digest(&content);
    while bytes > 0 && content.len() < bytes {
        content.extend_from_slice(&seed);
        seed = Sha256::digest(seed);
    }
    content
}

#[cfg(test)]
mod tests {
    use super::*;
    use buildbtw_package::Package;

    #[test]
    fn writes_archive_with_metadata_and_one_file() {
        let folder = tempfile::tempdir().unwrap();
        let metadata = PackageMetadata {
            name: "a".parse().unwrap(),
            base: "a".parse().unwrap(),
            version: "1:2-3".parse().unwrap(),
            architecture: "any".parse().unwrap(),
            packager: Packager::default(),
            build_date: 7,
            depends: vec!["b>=1".into()],
            provides: vec!["liba.so=1-64".into()],
        };
        let package = write(&metadata, 5000, folder.path()).unwrap();
        assert!(package.size > 5000);
        let read = Package::read(&package.path, &package.file_name, &metadata.base, &|| false);
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
