//! Relations: dependencies and provisions in the notation of PKGBUILD(5): `name`, `name>=version`, `libx.so=1-64`,
//! `lib:libx.so.1`.

use std::cmp::Ordering;
use std::str::FromStr as _;

use buildbtw_model::compare_versions;

/// The comparison operator of a version constraint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Any,
    Less,
    LessOrEqual,
    Equal,
    GreaterOrEqual,
    Greater,
}

/// A relation split into its parts, which are slices of the original text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Relation<'a> {
    pub(crate) name: &'a str,
    pub(crate) comparison: Comparison,
    /// Empty if there is no constraint.
    pub(crate) version: &'a str,
}

impl<'a> Relation<'a> {
    /// Splits any text. [`check`] validates relations when a file is read.
    pub(crate) fn split(text: &'a str) -> Self {
        let Some(start) = text.find(['<', '>', '=']) else {
            return Self {
                name: text,
                comparison: Comparison::Any,
                version: "",
            };
        };
        let (name, constraint) = text.split_at(start);
        let (comparison, version) = [
            ("<=", Comparison::LessOrEqual),
            (">=", Comparison::GreaterOrEqual),
            ("<", Comparison::Less),
            (">", Comparison::Greater),
            ("=", Comparison::Equal),
        ]
        .into_iter()
        .find_map(|(sign, comparison)| Some((comparison, constraint.strip_prefix(sign)?)))
        .unwrap_or((Comparison::Any, ""));
        Self {
            name,
            comparison,
            version,
        }
    }

    /// Returns whether a package or provision of this version meets the constraint. Without a version it meets only a
    /// relation without a constraint.
    pub(crate) fn is_met_by(&self, version: Option<&str>) -> bool {
        if self.comparison == Comparison::Any {
            return true;
        }
        let Some(version) = version else {
            return false;
        };
        let order = compare_versions(version, self.version);
        match self.comparison {
            Comparison::Any => true,
            Comparison::Less => order == Ordering::Less,
            Comparison::LessOrEqual => order != Ordering::Greater,
            Comparison::Equal => order == Ordering::Equal,
            Comparison::GreaterOrEqual => order != Ordering::Less,
            Comparison::Greater => order == Ordering::Greater,
        }
    }
}

impl Relation<'_> {
    /// Returns whether a provision of a `PKGBUILD` may meet the constraint once it is built: makepkg adds the soname
    /// version to a bare `libx.so` if it finds the library in the package (PKGBUILD(5), `provides`).
    pub(crate) fn may_be_met_by(&self, provision: &Relation<'_>) -> bool {
        provision.comparison == Comparison::Any
            && provision.name.ends_with(".so")
            && provision.name == self.name
    }

    /// Returns the version that a provision provides. Only `name=version` provides one, as in libalpm.
    pub(crate) fn provided_version(&self) -> Option<&str> {
        (self.comparison == Comparison::Equal).then_some(self.version)
    }
}

/// Returns whether a name is that of a shared library: `libx.so`, `libx.so.1`, `lib:libx.so.1`.
pub(crate) fn is_soname(name: &str) -> bool {
    name.match_indices(".so").any(|(at, _)| {
        let suffix = name.get(at + 3..).unwrap_or_default();
        at > 0
            && suffix.split('.').skip(1).all(|part| {
                !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
            })
            && (suffix.is_empty() || suffix.starts_with('.'))
    })
}

/// Returns the part of a version that changes with the soname of most libraries: the first number and, for 0.x, also
/// the second one.
pub(crate) fn soname_generation(version: &str) -> (&str, &str) {
    let version = version
        .split_once(':')
        .map_or(version, |(_, version)| version);
    let mut numbers = version.split(|byte: char| !byte.is_ascii_alphanumeric());
    let first = numbers.next().unwrap_or_default();
    let second = if first == "0" { numbers.next() } else { None };
    (first, second.unwrap_or_default())
}

/// Checks with alpm-types that a text is a relation that pacman accepts.
pub(crate) fn check(text: &str) -> Result<(), String> {
    if alpm_types::RelationOrSoname::from_str(text).is_ok() {
        return Ok(());
    }
    alpm_types::PackageRelation::from_str(text)
        .map(drop)
        .map_err(|_| format!("`{text}` is not a valid relation"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_every_comparison() {
        for (text, name, comparison, version) in [
            ("a", "a", Comparison::Any, ""),
            ("a<1", "a", Comparison::Less, "1"),
            ("a<=1", "a", Comparison::LessOrEqual, "1"),
            ("a=1:2-3", "a", Comparison::Equal, "1:2-3"),
            ("a>=1", "a", Comparison::GreaterOrEqual, "1"),
            ("a>1", "a", Comparison::Greater, "1"),
            ("libx.so=1-64", "libx.so", Comparison::Equal, "1-64"),
            ("lib:libx.so.1", "lib:libx.so.1", Comparison::Any, ""),
        ] {
            let expected = Relation {
                name,
                comparison,
                version,
            };
            assert_eq!(Relation::split(text), expected);
            assert_eq!(check(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn compares_release_only_when_constraint_names_one() {
        assert!(Relation::split("a=1").is_met_by(Some("1-5")));
        assert!(!Relation::split("a=1-4").is_met_by(Some("1-5")));
        assert!(Relation::split("a<=1").is_met_by(Some("1-5")));
        assert!(!Relation::split("a>1").is_met_by(Some("1-5")));
        assert!(!Relation::split("a<1:0").is_met_by(Some("1:0-1")));
    }

    #[test]
    fn unversioned_provision_satisfies_no_constraint() {
        assert!(Relation::split("a").is_met_by(None));
        assert!(!Relation::split("a>=0").is_met_by(None));
        assert!(!Relation::split("a<9").is_met_by(None));
    }

    #[test]
    fn recognizes_shared_libraries_by_name() {
        for name in [
            "libx.so",
            "libx.so.1",
            "libx-2.0.so.1.2",
            "lib:libx.so.1",
            "x.so",
        ] {
            assert!(is_soname(name), "{name}");
        }
        for name in [
            "libx",
            "x.sound",
            "x.so-dev",
            ".so",
            "lib.solver",
            "libx.so.",
            "so",
        ] {
            assert!(!is_soname(name), "{name}");
        }
    }

    #[test]
    fn rejects_leftovers_of_shell_code() {
        for text in ["guile>=", "", "a b", ">=1", "$x", "a==1"] {
            assert!(check(text).is_err(), "{text:?}");
        }
    }
}
