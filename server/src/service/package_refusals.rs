//! The refusals of uploaded packages, and of outcomes that list others.

use std::fmt::Display;
use std::time::Duration;

use buildbtw_model::api::{ExpectedPackage, ProblemKind};
use buildbtw_model::{PackageFileName, PackageVersion, Pkgname, Sha256Digest};

use crate::db::expectations::Uploaded;
use crate::error::{Error, Refusal};
use crate::repos::package_file::{PackageError, explain};

fn unexpected(title: String) -> Refusal {
    Refusal::new(ProblemKind::UnexpectedPackage, title)
}

/// Creates the refusal of a file that is not a package of the build.
pub(super) fn not_of_build(file: &PackageFileName, expected: &[ExpectedPackage]) -> Error {
    let names: Vec<_> = expected
        .iter()
        .map(|package| package.name.as_str())
        .collect();
    unexpected(format!(
        "{file} is not a package of this build, which produces {}",
        names.join(", ")
    ))
    .into()
}

/// Creates the refusal of a package for another architecture.
pub(super) fn other_architecture(file: &PackageFileName, expected: &ExpectedPackage) -> Error {
    unexpected(format!(
        "{file} has architecture {}, but the plan expects {}",
        file.architecture(),
        expected.architecture
    ))
    .into()
}

/// Creates the refusal of an upload whose connection broke.
pub(super) fn interrupted(error: impl Display) -> Error {
    Refusal::new(ProblemKind::InvalidRequest, "the upload was interrupted")
        .detail(error.to_string())
        .into()
}

/// Creates the refusal of a package above the size limit.
pub(super) fn too_large(limit: u64) -> Error {
    let title = format!("the package is larger than {} MiB", limit >> 20);
    Refusal::new(ProblemKind::TooLarge, title)
        .hint("ask the operator to raise --max-package-mib")
        .into()
}

/// Creates the refusal of an upload that was damaged on its way.
pub(super) fn other_digest(announced: &Sha256Digest, received: &Sha256Digest) -> Error {
    Refusal::new(
        ProblemKind::ChecksumMismatch,
        "the upload does not match the announced digest",
    )
    .detail(format!("announced {announced}, received {received}"))
    .into()
}

/// Creates the refusal of a package that takes too long to read.
pub(super) fn slow_package(file: &PackageFileName, limit: Duration) -> Error {
    unexpected(format!("{file} cannot be published"))
        .detail(format!(
            "reading it took longer than {} s and was stopped",
            limit.as_secs()
        ))
        .into()
}

/// Creates the refusal of a package. It is permanent if the file itself is the cause, because a repeated upload would
/// be the same.
pub(super) fn unusable(file: &PackageFileName, error: PackageError) -> Error {
    match error {
        PackageError::Io(error) => Error::from(error),
        PackageError::Stopped => {
            Error::refused(ProblemKind::Unavailable, "the server is shutting down")
                .hint("try again in a moment")
        }
        error => unexpected(format!("{file} cannot be published"))
            .detail(explain(&error))
            .into(),
    }
}

/// Creates the refusal of an outcome that lists a package which was not uploaded.
pub(super) fn not_uploaded(file: &PackageFileName) -> Error {
    unexpected(format!(
        "{file} was not uploaded, or was uploaded with another digest"
    ))
    .into()
}

/// Creates the refusal of an outcome that does not list an uploaded package.
pub(super) fn not_listed(file: &PackageFileName) -> Error {
    unexpected(format!(
        "{file} was uploaded but is not part of the outcome"
    ))
    .into()
}

/// Creates the refusal of an outcome without packages.
pub(super) fn no_package() -> Error {
    unexpected("a success must list at least one package".to_owned()).into()
}

/// Creates the refusal of an outcome without a planned package.
pub(super) fn missing(name: &Pkgname) -> Error {
    unexpected(format!("package {name} is missing")).into()
}

/// Creates the refusal of packages with different versions.
pub(super) fn two_versions(first: &PackageFileName, other: &PackageFileName) -> Error {
    unexpected(format!("{first} and {other} differ in version")).into()
}

/// Creates the refusal of a package with another version than the planned one.
pub(super) fn other_version(package: &Uploaded, planned: &PackageVersion) -> Error {
    unexpected(format!(
        "{} does not have the planned version {planned}",
        package.file_name
    ))
    .hint("change the version only in a pkgver() function")
    .into()
}

/// Creates the refusal of a package that pacman would not install.
pub(super) fn older_than_base(package: &Uploaded, base: &PackageVersion) -> Error {
    unexpected(format!(
        "{} would not install over {base} of the base repositories",
        package.file_name
    ))
    .hint("update the source repository, or leave the package out with --exclude")
    .into()
}

/// Creates the refusal of a package whose version names another one in the same namespace.
pub(super) fn known_version(package: &Uploaded) -> Error {
    unexpected(format!(
        "this namespace has already had another package of version {} for {}",
        package.version, package.pkgname
    ))
    .into()
}

/// Creates the refusal of a package with the file name of another one in the repository.
pub(super) fn known_file(file: &PackageFileName) -> Error {
    unexpected(format!("the repository already has another {file}")).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn refusals_match_snapshot() {
        let file = |text: &str| -> PackageFileName { text.parse().unwrap() };
        let digest = |digit: &str| -> Sha256Digest { digit.repeat(64).parse().unwrap() };
        let libgreet = file("libgreet-1.0-1-x86_64.pkg.tar.zst");
        let other = file("libgreet-docs-1.1-1-x86_64.pkg.tar.zst");
        let version = |text: &str| -> PackageVersion { text.parse().unwrap() };
        let expected = |architecture: &str| ExpectedPackage {
            name: libgreet.pkgname(),
            architecture: architecture.parse().unwrap(),
        };
        let uploaded = Uploaded {
            pkgname: libgreet.pkgname(),
            version: libgreet.version(),
            sha256: digest("0"),
            file_name: libgreet.clone(),
        };
        let damaged = PackageError::Archive(std::io::Error::other("damaged"));
        let mismatch = PackageError::Mismatch {
            key: "pkgver",
            found: "2-1".to_owned(),
            expected: "1.0-1".to_owned(),
        };
        let refused = PackageError::Refused("it has no .PKGINFO".to_owned());
        let text = testing::refusals([
            ("another package", not_of_build(&other, &[expected("any")])),
            (
                "another architecture",
                other_architecture(&libgreet, &expected("any")),
            ),
            ("broken connection", interrupted("connection reset")),
            ("large package", too_large(4096 << 20)),
            ("damaged upload", other_digest(&digest("0"), &digest("1"))),
            (
                "slow package",
                slow_package(&libgreet, Duration::from_secs(30)),
            ),
            ("damaged package", unusable(&libgreet, damaged)),
            ("package with other metadata", unusable(&libgreet, mismatch)),
            ("package without metadata", unusable(&libgreet, refused)),
            ("shutdown", unusable(&libgreet, PackageError::Stopped)),
            ("package that was not uploaded", not_uploaded(&libgreet)),
            ("package that is not listed", not_listed(&libgreet)),
            ("no package", no_package()),
            ("missing package", missing(&libgreet.pkgname())),
            ("two versions", two_versions(&libgreet, &other)),
            (
                "another version",
                other_version(&uploaded, &version("1.0-2")),
            ),
            (
                "older than the base repositories",
                older_than_base(&uploaded, &version("1.0-3")),
            ),
            ("known version", known_version(&uploaded)),
            ("known file name", known_file(&libgreet)),
        ]);
        insta::assert_snapshot!(text);
    }
}
