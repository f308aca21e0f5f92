//! Keeps the PKGBUILD of a build, with its release and the version that `pkgver()` wrote into it.
//! `.BUILDINFO` of the packages has its digest, and rebuilding them requires it.

use std::path::{Path, PathBuf};

use buildbtw_model::Pkgbase;
use sha2::{Digest as _, Sha256};

use super::collect::Collected;
use crate::failure::{Context as _, Failure};
use crate::source::pkgbuild::MAX_PKGBUILD_BYTES;
use crate::source::read_regular;

/// Copies the PKGBUILD to the output folder. Returns `None` and adds a note if the build replaced it by
/// another one than that of the packages.
pub(super) fn keep(
    tree: &Path,
    output: &Path,
    pkgbase: &Pkgbase,
    packages: &[Collected],
    notes: &mut Vec<String>,
) -> Result<Option<PathBuf>, Failure> {
    let Some((package, _)) = packages.first() else {
        return Ok(None);
    };
    let text = match read_regular(&tree.join("PKGBUILD"), MAX_PKGBUILD_BYTES) {
        Ok(text) => text,
        Err(error) => {
            notes.push(format!("the PKGBUILD was not kept: {error}"));
            return Ok(None);
        }
    };
    let digest = Sha256::digest(&text);
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    for (package, read) in packages {
        if read.pkgbuild_sha256.as_ref() != Some(&digest) {
            let name = &package.file_name;
            notes.push(format!(
                "the PKGBUILD was not kept: .BUILDINFO of {name} has the digest of another one"
            ));
            return Ok(None);
        }
    }
    let version = package.file_name.version();
    let path = output.join(format!("{pkgbase}-{version}.PKGBUILD"));
    fs_err::write(&path, text).context("storing the PKGBUILD")?;
    Ok(Some(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::BuiltPackage;
    use buildbtw_package::{Package, TinyPackage};

    /// Creates a package whose `.BUILDINFO` has the digest of a PKGBUILD with this text.
    fn package(folder: &Path, text: Option<&str>) -> Collected {
        let package = TinyPackage::new(
            "a".parse().unwrap(),
            "a".parse().unwrap(),
            "1:2-3".parse().unwrap(),
            "any".parse().unwrap(),
        );
        let built = BuiltPackage::write(&package, folder).unwrap();
        let base = &package.base;
        let mut read = Package::read(&built.path, &built.file_name, base, &|| false).unwrap();
        read.pkgbuild_sha256 = text.map(|text| {
            let digest = Sha256::digest(text);
            digest.iter().map(|byte| format!("{byte:02x}")).collect()
        });
        (built, read)
    }

    fn kept(folder: &Path, packages: &[Collected]) -> (Option<PathBuf>, Vec<String>) {
        let mut notes = Vec::new();
        let pkgbase = "a".parse().unwrap();
        let kept = keep(folder, folder, &pkgbase, packages, &mut notes).unwrap();
        (kept, notes)
    }

    #[test]
    fn does_not_follow_links_left_by_a_build() {
        let folder = tempfile::tempdir().unwrap();
        let packages = [package(folder.path(), Some("pkgrel=3"))];
        let pkgbuild = folder.path().join("PKGBUILD");
        std::os::unix::fs::symlink("/etc/passwd", &pkgbuild).unwrap();
        let (path, notes) = kept(folder.path(), &packages);
        assert_eq!((path, notes.len()), (None, 1));
        fs_err::remove_file(&pkgbuild).unwrap();
        fs_err::write(&pkgbuild, "pkgrel=3").unwrap();
        let (path, notes) = kept(folder.path(), &packages);
        let path = path.unwrap();
        assert!(path.ends_with("a-1:2-3.PKGBUILD"));
        assert_eq!(fs_err::read(path).unwrap(), b"pkgrel=3");
        assert_eq!(notes, [""; 0]);
    }

    #[test]
    fn does_not_keep_pkgbuild_with_another_digest() {
        let folder = tempfile::tempdir().unwrap();
        fs_err::write(folder.path().join("PKGBUILD"), "pkgrel=3").unwrap();
        for other in [Some("pkgrel=4"), None] {
            let packages = [Some("pkgrel=3"), other].map(|text| package(folder.path(), text));
            let (path, notes) = kept(folder.path(), &packages);
            assert_eq!(path, None);
            assert!(notes[0].contains("the digest of another one"), "{notes:?}");
        }
    }
}
