//! Dependencies between packages of the same PKGBUILD. Those that name a release must follow when it is
//! bumped, or the new packages cannot be installed.

use std::cmp::Ordering;

use buildbtw_model::{PackageVersion, compare_versions};

use super::srcinfo::Srcinfo;

/// A dependency that the bumped release does not satisfy.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BrokenPin {
    /// The dependent package.
    pub(crate) package: String,
    /// The dependency, in pacman's syntax.
    pub(crate) dependency: String,
    /// The sibling that it names.
    pub(crate) sibling: String,
}

/// Returns the first dependency on a sibling that version `before` satisfies and version `after` does not.
/// `srcinfo` is the output of the `PKGBUILD` after the release was bumped.
pub(crate) fn find_broken(
    srcinfo: &Srcinfo,
    architecture: &str,
    before: &PackageVersion,
    after: &PackageVersion,
) -> Option<BrokenPin> {
    let names: Vec<&str> = srcinfo.packages().collect();
    let provisions: Vec<String> = names
        .iter()
        .flat_map(|name| srcinfo.of_package(name, "provides", architecture))
        .collect();
    for package in &names {
        for dependency in srcinfo.of_package(package, "depends", architecture) {
            let pin = Pin::parse(&dependency);
            let Some(sibling) = names.iter().find(|name| **name == pin.name) else {
                continue;
            };
            let is_met = pin.is_met_by(after.as_str())
                || provisions
                    .iter()
                    .any(|provision| pin.is_provided_by(provision));
            if pin.is_met_by(before.as_str()) && !is_met {
                return Some(BrokenPin {
                    package: (*package).to_owned(),
                    sibling: (*sibling).to_owned(),
                    dependency,
                });
            }
        }
    }
    None
}

/// A dependency: `name`, optionally with a version constraint.
struct Pin<'a> {
    name: &'a str,
    /// `<`, `<=`, `=`, `>=`, `>` or empty.
    sign: &'a str,
    version: &'a str,
}

impl<'a> Pin<'a> {
    fn parse(text: &'a str) -> Self {
        let is_sign = |c: char| matches!(c, '<' | '>' | '=');
        let start = text.find(is_sign).unwrap_or(text.len());
        let (name, rest) = text.split_at(start);
        let end = rest.find(|c: char| !is_sign(c)).unwrap_or(rest.len());
        let (sign, version) = rest.split_at(end);
        Self {
            name,
            sign,
            version,
        }
    }

    fn is_met_by(&self, version: &str) -> bool {
        let order = compare_versions(version, self.version);
        match self.sign {
            "" => true,
            "<" => order == Ordering::Less,
            "<=" => order != Ordering::Greater,
            "=" => order == Ordering::Equal,
            ">=" => order != Ordering::Less,
            ">" => order == Ordering::Greater,
            _ => false,
        }
    }

    fn is_provided_by(&self, provision: &str) -> bool {
        let provision = Pin::parse(provision);
        provision.name == self.name && provision.sign == "=" && self.is_met_by(provision.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(depends: &str, provides: &str) -> Option<String> {
        let text = format!(
            "pkgbase = pair\n\tpkgver = 1.0\n\tpkgrel = 1.1\n\tarch = any\n\npkgname = pair\n\
             \tdepends = {depends}\n\npkgname = pair-docs\n\tprovides = {provides}\n"
        );
        let version = |text: &str| text.parse().unwrap();
        find_broken(
            &Srcinfo::parse(&text),
            "any",
            &version("1.0-1"),
            &version("1.0-1.1"),
        )
        .map(|broken| broken.dependency)
    }

    #[test]
    fn detects_pin_on_the_old_release() {
        for (depends, is_broken) in [
            ("pair-docs=1.0-1", true),
            ("pair-docs<=1.0-1", true),
            ("pair-docs<1.0-1.1", true),
            ("pair-docs=1.0-1.1", false),
            ("pair-docs=1.0", false),
            ("pair-docs>=1.0-1", false),
            ("pair-docs", false),
            // The constraint was not satisfied before either.
            ("pair-docs=0.9-1", false),
            ("another=1.0-1", false),
        ] {
            let expected = is_broken.then(|| depends.to_owned());
            assert_eq!(found(depends, "docs"), expected, "{depends}");
        }
        assert_eq!(found("pair-docs=1.0-1", "pair-docs=1.0-1"), None);
    }
}
