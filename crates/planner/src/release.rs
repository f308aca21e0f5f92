//! The release bump: a rebuild must install over the package it replaces, although its `PKGBUILD`
//! still says the old release.

use std::cmp::Ordering;

use buildbtw_model::PackageVersion;

use crate::version::compare_versions;

/// The release after this one that leaves room for the packager: `N` becomes `N.1`, `N.k` becomes
/// `N.(k+1)`.
fn next(pkgrel: &str) -> String {
    let (major, minor) = match pkgrel.split_once('.') {
        Some((major, minor)) => (major, minor.parse::<u64>().unwrap_or(0)),
        None => (pkgrel, 0),
    };
    match minor.checked_add(1) {
        Some(minor) => format!("{major}.{minor}"),
        // Nobody rebuilds that often; still, the result must be newer.
        None => {
            let major = major.parse::<u64>().unwrap_or(0);
            format!("{}", major.saturating_add(1))
        }
    }
}

/// The `pkgrel` of a rebuild of `current` that is newer than `current` and than every version in
/// `at_least` with the same epoch and pkgver; other versions do not matter.
///
/// ```
/// # use buildbtw_planner::bumped_pkgrel;
/// let current = "1.0-3".parse()?;
/// assert_eq!(bumped_pkgrel(&current, []), "3.1");
/// assert_eq!(bumped_pkgrel(&current, [&"1.0-3.4".parse()?, &"2.0-9".parse()?]), "3.5");
/// # Ok::<(), buildbtw_model::InvalidName>(())
/// ```
#[must_use]
pub fn bumped_pkgrel<'a>(
    current: &'a PackageVersion,
    at_least: impl IntoIterator<Item = &'a PackageVersion>,
) -> String {
    let highest = at_least
        .into_iter()
        .filter(|other| same_pkgver(current, other))
        .map(PackageVersion::pkgrel)
        .fold(current.pkgrel(), |highest, pkgrel| {
            if compare_versions(pkgrel, highest).is_gt() {
                pkgrel
            } else {
                highest
            }
        });
    next(highest)
}

/// [`bumped_pkgrel`] as a whole version, with the epoch and pkgver of `current`.
#[must_use]
pub fn bumped_version<'a>(
    current: &'a PackageVersion,
    at_least: impl IntoIterator<Item = &'a PackageVersion>,
) -> PackageVersion {
    let pkgrel = bumped_pkgrel(current, at_least);
    format!("{}-{pkgrel}", current.without_pkgrel())
        .parse()
        // A valid version with another valid release is valid.
        .unwrap_or_else(|_| current.clone())
}

fn same_pkgver(a: &PackageVersion, b: &PackageVersion) -> bool {
    compare_versions(a.without_pkgrel(), b.without_pkgrel()) == Ordering::Equal
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bump(current: &str, others: &[&str]) -> String {
        let others: Vec<PackageVersion> = others.iter().map(|v| v.parse().unwrap()).collect();
        bumped_pkgrel(&current.parse().unwrap(), &others)
    }

    #[test]
    fn every_case_of_the_rule() {
        for (current, others, expected) in [
            ("1-1", &[][..], "1.1"),
            ("1-1.1", &[], "1.2"),
            ("1-1.9", &[], "1.10"),
            ("1-0", &[], "0.1"),
            ("1-1", &["1-1"], "1.1"),
            ("1-1", &["1-1.3"], "1.4"),
            ("1-1", &["1-1.3", "1-1.10"], "1.11"),
            ("1-1.5", &["1-1"], "1.6"),
            ("1-1", &["1-2"], "2.1"),
            ("1-1", &["1-2.7", "1-1.9"], "2.8"),
            ("1-1", &["1:1-7", "2-7"], "1.1"),
            ("1:1-1", &["1-7"], "1.1"),
            ("1-1", &["0:1-4"], "4.1"),
            ("1-1", &["1-1.18446744073709551615"], "2"),
        ] {
            assert_eq!(bump(current, others), expected, "{current} {others:?}");
        }
    }

    proptest! {
        #[test]
        fn is_above_everything_of_the_same_pkgver(
            current in "[12](\\.[0-9]{1,2})?",
            others in prop::collection::vec("[12](\\.[0-9]{1,2})?", 0..5),
        ) {
            let version = |pkgrel: &String| format!("1-{pkgrel}").parse::<PackageVersion>();
            let Ok(current) = version(&current) else { return Ok(()) };
            let others: Vec<_> = others.iter().filter_map(|pkgrel| version(pkgrel).ok()).collect();
            let bumped = bumped_version(&current, &others);
            for other in others.iter().chain([&current]) {
                prop_assert!(bumped.compare(other).is_gt(), "{} over {}", bumped, other);
            }
        }
    }
}
