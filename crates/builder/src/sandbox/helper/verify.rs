//! Checks that the installed packages agree with the plan. pacman accepts any version that satisfies a
//! dependency, but a rebuild must use the rebuilt one.

use std::collections::{BTreeMap, BTreeSet};

use buildbtw_model::{Explanation, RepositoryName};

use super::base_of::BASE_OF;
use super::bwrap::{Sandboxed, View};
use super::headings::heading;
use super::root::Root;
use super::run::text;
use crate::failure::Failure;
use crate::request::BuildRequest;
use crate::sys::Identity;

/// The number of wrong packages to explain.
const MAX_EXPLAINED: usize = 10;

/// Checks that every installed package of the namespace repository has the version of that repository.
pub(super) fn installed(
    root: &Root,
    namespace: &RepositoryName,
    request: &BuildRequest,
) -> Result<(), Failure> {
    heading("verifying the installed packages");
    let script = "pacman -Q && echo && pacman -Sl -- \"$1\"";
    let output = query(root).output(&["bash", "-c", script, "bash", namespace.as_str()])?;
    if !output.status.success() {
        let message = "pacman could not list the installed packages";
        return Err(Failure::infrastructure(message).see_log());
    }
    let text = text(output)?;
    let wrong = version_differences(&text);
    let rebuilt = rebuilt(&text);
    let old: BTreeSet<&str> = wrong.iter().map(|(name, _, _)| *name).collect();
    let mut unexplained = None;
    for &(name, installed, planned) in wrong.iter().take(MAX_EXPLAINED) {
        let what = was_installed(name, installed, planned);
        let holders = Holders::find(root, name, installed, &request.dependencies)?;
        // A package that requires the old version will require it again, so a retry would not help.
        let because = |why: Explanation| Failure::package(why.map(|why| format!("{what}: {why}")));
        let (causes, effects) = holders.split(&old);
        if let Some(why) = causes.explain(request.pkgbase.as_str(), &rebuilt) {
            return Err(because(why));
        }
        let failure = effects
            .explain(request.pkgbase.as_str(), &rebuilt)
            .map(because);
        let failure = failure.unwrap_or_else(|| without_a_cause(&what));
        unexplained = unexplained.or(Some(failure));
    }
    unexplained.map_or(Ok(()), Err)
}

fn was_installed(name: &str, installed: &str, planned: &str) -> String {
    format!("{name} {installed} was installed although the namespace has {name} {planned}")
}

/// Returns the failure for an old version that nothing requires.
fn without_a_cause(what: &str) -> Failure {
    Failure::infrastructure(format!(
        "{what}; no installed package requires the old version"
    ))
}

fn query(root: &Root) -> Sandboxed<'_> {
    Sandboxed::new(View::ReadOnly(root), Identity::Root).env("LC_ALL", "C")
}

/// Returns name, installed version and version in the repository of all packages for which they differ.
fn version_differences(text: &str) -> Vec<(&str, &str, &str)> {
    let (installed, repository) = text.split_once("\n\n").unwrap_or((text, ""));
    let installed: BTreeMap<&str, &str> = installed
        .lines()
        .filter_map(|line| line.split_once(' '))
        .collect();
    repository
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ').skip(1);
            let (name, planned) = (words.next()?, words.next()?);
            let found = installed.get(name)?;
            (*found != planned).then_some((name, *found, planned))
        })
        .collect()
}

/// Returns the packages of the namespace repository.
fn rebuilt(text: &str) -> BTreeSet<&str> {
    let (_, repository) = text.split_once("\n\n").unwrap_or_default();
    let names = repository.lines().map(|line| line.split(' ').nth(1));
    names.flatten().collect()
}

/// The dependencies that only the old version of a package satisfies.
#[derive(Debug, Default, PartialEq, Eq)]
struct Holders {
    /// Direct dependencies of the build.
    own: Vec<String>,
    packages: Vec<Holder>,
}

/// An installed package that requires an old version.
#[derive(Debug, PartialEq, Eq)]
struct Holder {
    name: String,
    pkgbase: String,
    dependency: String,
}

impl Holders {
    /// Asks pacman for each dependency which package of the repositories satisfies it.
    fn find(root: &Root, name: &str, old: &str, own: &[String]) -> Result<Self, Failure> {
        let script = format!(
            "{BASE_OF}
             name=$1 old=$2
             shift 2
             holds() {{
               [[ $(pacman -Sddp --print-format '%n %v' -- \"$1\" 2>/dev/null) == \"$name $old\" ]]
             }}
             field() {{ pacman -Qi -- \"$2\" 2>/dev/null | sed -n \"s/^$1 *: //p\"; }}
             for dependency; do holds \"$dependency\" && echo \"own $dependency\"; done
             for package in $(field 'Required By' \"$name\"); do
               for dependency in $(field 'Depends On' \"$package\"); do
                 if holds \"$dependency\"; then
                   echo \"package $package $(base_of \"$package\") $dependency\"
                   break
                 fi
               done
             done
             true"
        );
        let mut arguments = vec!["bash", "-c", &script, "bash", name, old];
        arguments.extend(own.iter().map(String::as_str));
        let output = query(root).output(&arguments)?;
        Ok(Self::parse(&String::from_utf8_lossy(&output.stdout)))
    }

    fn parse(text: &str) -> Self {
        let mut holders = Self::default();
        for line in text.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["own", dependency] => holders.own.push(dependency.to_owned()),
                ["package", package, base, dependency] => holders.packages.push(Holder {
                    name: package.to_owned(),
                    pkgbase: base.to_owned(),
                    dependency: dependency.to_owned(),
                }),
                _ => {}
            }
        }
        holders
    }

    /// Splits the holders into those that explain something and those that are held back themselves.
    fn split(self, old: &BTreeSet<&str>) -> (Self, Self) {
        let is_held = |holder: &Holder| old.contains(holder.name.as_str());
        let (held, packages) = self.packages.into_iter().partition(is_held);
        let causes = Self {
            own: self.own,
            packages,
        };
        let effects = Self {
            own: Vec::new(),
            packages: held,
        };
        (causes, effects)
    }

    /// Explains why the old version is installed: because of the package itself, a package outside the
    /// rebuild, or a rebuilt one that still requires it.
    fn explain(&self, pkgbase: &str, rebuilt: &BTreeSet<&str>) -> Option<Explanation> {
        if !self.own.is_empty() {
            let own: Vec<String> = self.own.iter().map(|own| format!("`{own}`")).collect();
            let own = own.join(" and ");
            return Some(Explanation::with_hint(
                format!("{pkgbase} itself depends on {own}, which only the old version satisfies"),
                "change the dependency in the PKGBUILD and in .SRCINFO",
            ));
        }
        let is_member = |holder: &&Holder| rebuilt.contains(holder.name.as_str());
        let (members, outside): (Vec<&Holder>, Vec<&Holder>) =
            self.packages.iter().partition(is_member);
        if outside.is_empty() {
            return members.first().map(|member| member.as_member());
        }
        let names: Vec<&str> = outside.iter().map(|holder| &*holder.name).collect();
        let bases: BTreeSet<&str> = outside.iter().map(|holder| &*holder.pkgbase).collect();
        let bases: Vec<&str> = bases.into_iter().collect();
        let requires = if names.len() == 1 {
            "is not part of the rebuild and requires"
        } else {
            "are not part of the rebuild and require"
        };
        Some(Explanation::with_hint(
            format!("{} {requires} the old version", names.join(", ")),
            format!("widen the scope or include {}", bases.join(", ")),
        ))
    }
}

impl Holder {
    fn as_member(&self) -> Explanation {
        let Self {
            name,
            pkgbase,
            dependency,
        } = self;
        Explanation::with_hint(
            format!(
                "{name} was rebuilt but still depends on `{dependency}`, which only the old version \
                 satisfies"
            ),
            format!("change its depends in the PKGBUILD of {pkgbase}"),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn detects_old_member_of_the_rebuild_set() {
        let text = "bash 5.2-1\nlibgreet 1.0-1\n\nns libgreet 2.0-1 [installed: 1.0-1]\nns greeter 1.0-1.1\n";
        assert_eq!(version_differences(text), [("libgreet", "1.0-1", "2.0-1")]);
        let text = "libgreet 2.0-1\n\nns libgreet 2.0-1 [installed]\n";
        assert_eq!(version_differences(text), []);
    }

    #[test]
    fn names_outside_package_that_pulls_in_the_old_version() {
        let holders = Holders::parse(
            "package greeter greeter libgreet=1\npackage outsider-libs outsider libgreet=1\n",
        );
        let text = "libgreet 1.0-1\n\nns libgreet 2.0-1 [installed: 1.0-1]\nns greeter 1.0-1.1\n";
        assert_eq!(
            holders
                .explain("member", &rebuilt(text))
                .unwrap()
                .to_string(),
            "outsider-libs is not part of the rebuild and requires the old version\n\
             hint: widen the scope or include outsider"
        );
        assert_eq!(Holders::default().explain("member", &rebuilt(text)), None);
    }

    #[test]
    fn names_member_that_requires_the_old_version() {
        let holders = Holders::parse("package greeter-libs greeter libgreet=1\n");
        let rebuilt = BTreeSet::from(["greeter-libs", "libgreet"]);
        let why = holders.explain("member", &rebuilt).unwrap();
        assert!(
            why.message
                .starts_with("greeter-libs was rebuilt but still depends on `libgreet=1`"),
            "{why}"
        );
        // A package that is itself held back is named only if no other package holds the old
        // version.
        let (causes, effects) = holders.split(&BTreeSet::from(["greeter-libs"]));
        assert_eq!(causes, Holders::default());
        assert_eq!(effects.explain("member", &rebuilt), Some(why));
    }

    #[test]
    fn names_direct_dependency_first() {
        let holders =
            Holders::parse("own libgreet.so=1-64\npackage outsider outsider libgreet=1\n");
        let why = holders.explain("member", &BTreeSet::new()).unwrap();
        assert!(
            why.message
                .starts_with("member itself depends on `libgreet.so=1-64`"),
            "{why}"
        );
    }

    #[test]
    fn explanations_match_snapshot() {
        let explained = |text: &str| {
            let rebuilt = BTreeSet::from(["greeter-libs"]);
            Failure::package(Holders::parse(text).explain("member", &rebuilt).unwrap())
        };
        let text = crate::failure::recorded([
            (
                "no cause",
                without_a_cause(&was_installed("libgreet", "1-1", "2-1")),
            ),
            ("own dependency", explained("own libgreet=1\n")),
            (
                "rebuilt package",
                explained("package greeter-libs greeter libgreet=1\n"),
            ),
            (
                "package outside",
                explained("package outsider-libs outsider libgreet=1\n"),
            ),
            (
                "packages outside",
                explained("package a a libgreet=1\npackage b b libgreet=1\n"),
            ),
        ]);
        insta::assert_snapshot!(text);
    }
}
