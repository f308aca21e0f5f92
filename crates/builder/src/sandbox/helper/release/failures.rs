//! The failures of releases that cannot be written.

use std::fmt::Display;

use buildbtw_model::PackageVersion;

use crate::failure::Failure;
use crate::request::BuildRequest;

/// Explains that a source would get another name with the release.
pub(super) fn pinned_name(request: &BuildRequest, release: &str, old: &str, new: &str) -> Failure {
    let why = format!("a source is named after it (`{old}` would become `{new}`)");
    not_bumped(request, release, &why, "name the source after pkgver only")
}

/// Explains why the release cannot be written, and what to change in the PKGBUILD.
pub(super) fn not_bumped(
    request: &BuildRequest,
    release: &str,
    why: &str,
    advice: &str,
) -> Failure {
    Failure::package(format!("the release cannot be bumped to {release}: {why}"))
        .hint(format!("{advice}, or {}", request.release_hint()))
}

/// Explains that no change of the PKGBUILD sets the release. `seen` is the one that it sets instead.
pub(super) fn not_replaced(request: &BuildRequest, release: &str, seen: Option<String>) -> Failure {
    let why = match seen {
        Some(other) => {
            format!("the PKGBUILD sets pkgrel to {other} in a way that cannot be replaced")
        }
        None => "the PKGBUILD cannot be read with it".to_owned(),
    };
    let advice = "write `pkgrel=N` on a line of its own";
    not_bumped(request, release, &why, advice)
}

/// Explains that the computed version cannot be used.
pub(super) fn invalid_version(error: impl Display) -> Failure {
    Failure::package(format!("pkgver() printed an invalid version: {error}"))
}

/// Explains that the functions of the PKGBUILD have changed it so that it cannot be read.
pub(super) fn unreadable() -> Failure {
    Failure::package("the PKGBUILD can no longer be read after prepare() and pkgver() ran")
        .see_log()
}

/// Explains that the PKGBUILD sets its version again after the line that was appended to it.
pub(super) fn other_pkgver(pkgver: &str, found: &str) -> Failure {
    Failure::package(format!(
        "pkgver() printed {pkgver}, but the PKGBUILD still says {found}"
    ))
    .hint("write `pkgver=` at the start of a line")
}

/// Explains that the plan requests a release that is not one.
pub(super) fn invalid_release(release: &str) -> Failure {
    Failure::infrastructure(format!("{release:?} is not a valid pkgrel"))
}

/// Explains that pacman would keep the package of the base repositories.
pub(super) fn not_installable(version: &PackageVersion, newer: &PackageVersion) -> Failure {
    Failure::package(format!(
        "{version} would not install over {newer} of the base repositories"
    ))
    .hint(
        "the source repository is older than the base repositories; update it, or leave the package out \
         with --exclude",
    )
}

#[cfg(test)]
mod tests {
    use super::super::AppliedRelease;
    use super::*;
    use crate::request::Source;

    #[test]
    fn failures_match_snapshot() {
        let request =
            |source| BuildRequest::new("x".parse().unwrap(), "x86_64".parse().unwrap(), source);
        let of_folder = request(Source::Directory("/src".into()));
        let of_commit = request(Source::Git {
            url: "https://example.org/x".to_owned(),
            commit: "0".repeat(40).parse().unwrap(),
        });
        let version = |text: &str| -> PackageVersion { text.parse().unwrap() };
        let applied = AppliedRelease {
            dependencies: vec![("y=1-1".to_owned(), "y=1-2".to_owned())],
            ..AppliedRelease::default()
        };
        let text = crate::failure::recorded([
            (
                "source named after the release",
                pinned_name(&of_folder, "2", "x-1.tar", "x-2.tar"),
            ),
            (
                "the same in a namespace",
                pinned_name(&of_commit, "2", "x-1.tar", "x-2.tar"),
            ),
            (
                "dependency named after the release",
                applied.reject_consequences(&of_commit, "2").unwrap_err(),
            ),
            (
                "release in another place",
                not_replaced(&of_commit, "2", Some("1".to_owned())),
            ),
            (
                "release that breaks the PKGBUILD",
                not_replaced(&of_commit, "2", None),
            ),
            (
                "newer base package",
                not_installable(&version("1-1.1"), &version("1-2")),
            ),
            (
                "invalid computed version",
                invalid_version("1 2-1".parse::<PackageVersion>().unwrap_err()),
            ),
            ("unreadable PKGBUILD", unreadable()),
            ("version in another place", other_pkgver("r7.abc", "1")),
            ("invalid release", invalid_release("1a")),
        ]);
        insta::assert_snapshot!(text);
    }
}
