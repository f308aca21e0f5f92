//! Keeps the PKGBUILD that a build ran with: with its release, and the version that `pkgver()` wrote
//! into it. `.BUILDINFO` of the packages holds its digest, and whoever builds them again needs it.

use std::path::{Path, PathBuf};

use buildbtw_model::Pkgbase;

use crate::outcome::BuiltPackage;
use crate::sandbox::job::{Context as _, Failure};
use crate::source::pkgbuild::LARGEST_PKGBUILD;
use crate::source::read_regular;

/// Copies it to the output folder. `None`, with a note, when the build left something else in its place.
pub(super) fn keep(
    tree: &Path,
    output: &Path,
    pkgbase: &Pkgbase,
    packages: &[BuiltPackage],
    notes: &mut Vec<String>,
) -> Result<Option<PathBuf>, Failure> {
    let Some(package) = packages.first() else {
        return Ok(None);
    };
    let text = match read_regular(&tree.join("PKGBUILD"), LARGEST_PKGBUILD) {
        Ok(text) => text,
        Err(error) => {
            notes.push(format!("the PKGBUILD is not kept: {error}"));
            return Ok(None);
        }
    };
    let version = package.file_name.version();
    let path = output.join(format!("{pkgbase}-{version}.PKGBUILD"));
    fs_err::write(&path, text).context("storing the PKGBUILD")?;
    Ok(Some(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tiny_package::{self, PackageMetadata};

    #[test]
    fn follows_no_link_that_a_build_left() {
        let folder = tempfile::tempdir().unwrap();
        let metadata = PackageMetadata {
            name: "a".parse().unwrap(),
            base: "a".parse().unwrap(),
            version: "1:2-3".parse().unwrap(),
            architecture: "any".parse().unwrap(),
            packager: buildbtw_model::Packager::default(),
            build_date: 1,
            depends: Vec::new(),
            provides: Vec::new(),
        };
        let package = tiny_package::write(&metadata, 0, folder.path()).unwrap();
        let mut notes = Vec::new();
        let mut kept = || {
            let pkgbase = "a".parse().unwrap();
            let packages = [package.clone()];
            keep(
                folder.path(),
                folder.path(),
                &pkgbase,
                &packages,
                &mut notes,
            )
            .unwrap()
        };
        let pkgbuild = folder.path().join("PKGBUILD");
        std::os::unix::fs::symlink("/etc/passwd", &pkgbuild).unwrap();
        assert_eq!(kept(), None);
        fs_err::remove_file(&pkgbuild).unwrap();
        fs_err::write(&pkgbuild, "pkgrel=3").unwrap();
        let path = kept().unwrap();
        assert!(path.ends_with("a-1:2-3.PKGBUILD"));
        assert_eq!(fs_err::read(path).unwrap(), b"pkgrel=3");
        assert_eq!(notes.len(), 1);
    }
}
