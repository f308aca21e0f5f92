//! Collects the packages from the build folder. The build is over and its processes are gone, but hostile
//! code may have written every name and every byte in the folder.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use buildbtw_model::{PackageFileName, PackageVersion, Pkgname, Sha256Digest};
use buildbtw_package::{Package, PackageError};
use nix::dir::Dir;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use sha2::{Digest as _, Sha256};

use super::failures;
use crate::failure::{Context as _, Failure};
use crate::outcome::BuiltPackage;
use crate::request::BuildRequest;

/// More files than any PKGBUILD creates packages.
const MAX_PACKAGES: usize = 1000;
/// The hint for packages that contradict the plan, which was made from the .SRCINFO.
const REGENERATE: &str = "regenerate the .SRCINFO with `makepkg --printsrcinfo > .SRCINFO`";

/// A package, with its parsed contents.
pub(super) type Collected = (BuiltPackage, Package);

/// Removes the files that a failed build has put into the output folder.
pub(super) fn discard<'a>(files: impl IntoIterator<Item = &'a Path>) {
    for file in files {
        // The failure is reported already, and a remaining file is harmless.
        let _ = fs_err::remove_file(file);
    }
}

/// Copies the packages to the output folder and checks them. They must have `version`, unless only `pkgver()`
/// knew it. Returns them with human-readable remarks. After a failure, the output folder has none of these files.
pub(super) fn collect(
    folder: &Path,
    output: &Path,
    request: &BuildRequest,
    version: Option<&PackageVersion>,
) -> Result<(Vec<Collected>, Vec<String>), Failure> {
    let mut copied = Vec::new();
    let result = copy_all(folder, output, request, &mut copied).and_then(|packages| {
        let notes = check_expectations(&packages, request, version)?;
        Ok((packages, notes))
    });
    if result.is_err() {
        discard(copied.iter().map(PathBuf::as_path));
    }
    result
}

fn copy_all(
    folder: &Path,
    output: &Path,
    request: &BuildRequest,
    copied: &mut Vec<PathBuf>,
) -> Result<Vec<Collected>, Failure> {
    let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    // The build may have removed or replaced the folder.
    let mut dir = Dir::open(folder, flags, Mode::empty())
        .map_err(|error| Failure::package(format!("cannot open the package folder: {error}")))?;
    let limit = request.limits.output_bytes;
    let mut left = limit;
    let mut packages = Vec::new();
    for name in names(&mut dir)? {
        let file_name: PackageFileName = name
            .parse()
            .map_err(|error| Failure::package(format!("the build left another file: {error}")))?;
        let source = open(&dir, &file_name)?;
        copied.push(output.join(file_name.as_str()));
        let package = copy(source, &file_name, output, left, limit)?;
        left = left.saturating_sub(package.size);
        let read = check(&package, request)?;
        packages.push((package, read));
    }
    Ok(packages)
}

fn names(dir: &mut Dir) -> Result<Vec<String>, Failure> {
    let mut names = Vec::new();
    for entry in dir.iter() {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name == "." || name == ".." {
            continue;
        }
        if names.len() == MAX_PACKAGES {
            return Err(failures::too_many_packages(MAX_PACKAGES));
        }
        names.push(name);
    }
    names.sort();
    Ok(names)
}

fn open(dir: &Dir, name: &PackageFileName) -> Result<File, Failure> {
    let refuse = || Failure::package(format!("{name} is not a regular file"));
    // Without O_NONBLOCK, opening a pipe would block; the type is checked before anything is read.
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let file = match openat(dir, name.as_str(), flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(nix::Error::ELOOP | nix::Error::ENXIO) => return Err(refuse()),
        Err(error) => return Err(error.into()),
    };
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(refuse())
    }
}

fn copy(
    source: File,
    name: &PackageFileName,
    output: &Path,
    left: u64,
    limit: u64,
) -> Result<BuiltPackage, Failure> {
    let path = output.join(name.as_str());
    let mut target = fs_err::File::create(&path).context("storing a package")?;
    let mut source = source.take(left.saturating_add(1));
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 18];
    let mut size = 0;
    loop {
        let count = match source.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        };
        let bytes = buffer.get(..count).unwrap_or_default();
        hash.update(bytes);
        target.write_all(bytes).context("storing a package")?;
        size += count as u64;
        if size > left {
            return Err(Failure::package(format!(
                "the packages are larger than their limit of {limit} bytes"
            )));
        }
    }
    Ok(BuiltPackage {
        path,
        file_name: name.clone(),
        sha256: Sha256Digest::from_bytes(&hash.finalize().into()),
        size,
    })
}

/// Reads a package as the server does. Cancelling the build kills this process, so reading need not be
/// cancellable.
fn check(package: &BuiltPackage, request: &BuildRequest) -> Result<Package, Failure> {
    match Package::read(&package.path, &package.file_name, &request.pkgbase, &|| {
        false
    }) {
        Ok(read) => Ok(read),
        Err(PackageError::Io(error)) => Err(error.into()),
        Err(why) => Err(Failure::package(format!("{}: {why}", package.file_name))),
    }
}

/// Compares names, architectures and versions with the plan.
fn check_expectations(
    packages: &[Collected],
    request: &BuildRequest,
    version: Option<&PackageVersion>,
) -> Result<Vec<String>, Failure> {
    if packages.is_empty() {
        return Err(Failure::package("the build produced no package"));
    }
    let mut notes = Vec::new();
    let mut missing: Vec<_> = request.packages.iter().collect();
    for (package, _) in packages {
        let (name, architecture) = (
            package.file_name.pkgname(),
            package.file_name.architecture(),
        );
        if !request.packages.is_empty() {
            let found = missing.iter().position(|expected| expected.name == name);
            if let Some(expected) = found.map(|index| missing.remove(index)) {
                if expected.architecture != architecture {
                    return Err(Failure::package(format!(
                        "{name} was built for {architecture}, the plan says {}",
                        expected.architecture
                    ))
                    .hint(REGENERATE));
                }
            } else if !is_debug_package(&name, request) {
                return Err(Failure::package(format!(
                    "the build produced {name}, which is not in the plan"
                ))
                .hint(REGENERATE));
            }
        }
        let found = package.file_name.version();
        if let Some(version) = version
            && *version != found
        {
            return Err(other_version(&name, &found, version, request));
        }
        if let Some(planned) = &request.version
            && *planned != found
        {
            notes.push(computed(&name, &found, planned));
        }
    }
    match missing.first() {
        Some(package) => Err(Failure::package(format!(
            "the build did not produce {}",
            package.name
        ))
        .hint(REGENERATE)),
        None => Ok(notes),
    }
}

/// Explains why a package with an unexpected version is refused.
fn other_version(
    name: &Pkgname,
    found: &PackageVersion,
    version: &PackageVersion,
    request: &BuildRequest,
) -> Failure {
    let who = match &request.version {
        Some(planned) if planned == version => "the plan says",
        _ => "it was built as",
    };
    let what = format!("{name} has version {found}, {who} {version}");
    match found.without_pkgrel() == version.without_pkgrel() {
        true => Failure::package(format!(
            "{what}; the PKGBUILD changes pkgrel during the build"
        ))
        .hint("set pkgrel in one place, and not in a function"),
        false => Failure::package(what),
    }
}

/// Returns whether the package contains the debug symbols of a package of the build.
fn is_debug_package(name: &Pkgname, request: &BuildRequest) -> bool {
    name.as_str().strip_suffix("-debug").is_some_and(|parent| {
        parent == request.pkgbase.as_str()
            || request
                .packages
                .iter()
                .any(|package| package.name.as_str() == parent)
    })
}

/// Returns the note on a package whose version the PKGBUILD has computed.
fn computed(name: &Pkgname, found: &PackageVersion, planned: &PackageVersion) -> String {
    format!("{name} has version {found}, computed by pkgver(); the plan says {planned}")
}

#[cfg(test)]
mod tests;
