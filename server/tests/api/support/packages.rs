//! Tiny real packages to upload.

use std::path::Path;

use buildbtw_builder::BuiltPackage;
use buildbtw_model::api::ClaimedBuild;
use buildbtw_package::TinyPackage;

use super::parse;

/// Creates the packages of a claimed build. Another `payload` results in other content under the same names.
pub(crate) fn make_packages(
    claimed: &ClaimedBuild,
    payload: usize,
    folder: &Path,
) -> Vec<BuiltPackage> {
    write(&TinyPackage::all_of(claimed, payload), folder)
}

/// Creates the packages of a claimed build, each with these files.
pub(crate) fn make_packages_with(
    claimed: &ClaimedBuild,
    files: &[(&str, Vec<u8>)],
    folder: &Path,
) -> Vec<BuiltPackage> {
    let mut packages = TinyPackage::all_of(claimed, 0);
    for package in &mut packages {
        let files = files.iter();
        let files = files.map(|(path, content)| ((*path).to_owned(), content.clone()));
        package.files.extend(files);
    }
    write(&packages, folder)
}

/// Creates one package with properties chosen by the test.
pub(crate) fn make_package(
    name: &str,
    version: &str,
    architecture: &str,
    folder: &Path,
) -> BuiltPackage {
    make_package_of(name, name, version, architecture, folder)
}

/// Creates one package of a pkgbase chosen by the test.
pub(crate) fn make_package_of(
    pkgbase: &str,
    name: &str,
    version: &str,
    architecture: &str,
    folder: &Path,
) -> BuiltPackage {
    let (pkgbase, name) = (parse(pkgbase), parse(name));
    let package = TinyPackage::new(pkgbase, name, parse(version), parse(architecture));
    write(&[package.with_payload(0)], folder).remove(0)
}

fn write(packages: &[TinyPackage], folder: &Path) -> Vec<BuiltPackage> {
    let written = packages
        .iter()
        .map(|package| BuiltPackage::write(package, folder).unwrap());
    written.collect()
}

/// Returns the smallest 64-bit program or library that records what it links.
pub(crate) fn elf(soname: Option<&str>, needed: &[&str]) -> Vec<u8> {
    let mut strings = vec![0];
    let mut entries: Vec<(u64, u64)> = Vec::new();
    let named = soname.iter().map(|name| (14, *name));
    for (tag, name) in named.chain(needed.iter().map(|name| (1, *name))) {
        entries.push((tag, strings.len() as u64));
        strings.extend(name.as_bytes());
        strings.push(0);
    }
    let table = 64 + 2 * 56;
    let dynamic = table + strings.len() as u64;
    entries.extend([(5, table), (0, 0)]);
    let size = entries.len() as u64 * 16;
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    file.extend([3, 0, 62, 0, 1, 0, 0, 0]);
    for word in [0_u64, 64, 0] {
        file.extend(word.to_le_bytes());
    }
    file.extend(0_u32.to_le_bytes());
    for half in [64_u16, 56, 2, 0, 0, 0] {
        file.extend(half.to_le_bytes());
    }
    for (kind, offset, size) in [(1_u32, 0, dynamic + size), (2, dynamic, size)] {
        file.extend(kind.to_le_bytes());
        file.extend(4_u32.to_le_bytes());
        for word in [offset, offset, offset, size, size, 8] {
            file.extend(word.to_le_bytes());
        }
    }
    file.extend(&strings);
    for (tag, value) in entries {
        file.extend(tag.to_le_bytes());
        file.extend(value.to_le_bytes());
    }
    file
}
