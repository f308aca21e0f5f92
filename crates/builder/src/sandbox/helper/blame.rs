//! Finds the package that has to change when pacman cannot satisfy a dependency: pacman names the package
//! with the unsatisfied dependency, which might not be the one that requires the old version.

use buildbtw_model::{Explanation, Pkgbase, RepositoryName};

use super::base_of::BASE_OF;
use super::bwrap::{Sandboxed, View};
use super::root::Root;
use crate::failure::Failure;
use crate::sys::Identity;

/// The packages that require an old version of a rebuilt package.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Blame {
    /// A direct dependency of the build, and the rebuilt package that does not satisfy it.
    own: Option<(String, String)>,
    /// A package to be installed.
    other: Option<Other>,
}

/// A package with a dependency that the rebuild does not satisfy.
#[derive(Debug, PartialEq, Eq)]
struct Other {
    is_member: bool,
    name: String,
    pkgbase: String,
    dependency: String,
}

/// Prints `own DEPENDENCY NAME VERSION`, or `member NAME PKGBASE DEPENDENCY`, or the same with `outside`. The
/// arguments are the namespace, the refused dependency, the package that has it, and the dependencies of the
/// build.
const FIND: &str = r#"
namespace=$1 dependency=$2 package=$3
shift 3
found() { pacman -Sddp --print-format "$1" -- "$2" 2>/dev/null | tail -n 1; }
rebuilt() {
  pacman -Sl -- "$namespace" 2>/dev/null | while read -r _ name version _; do
    [[ $name == "$1" ]] && echo "$version"
  done
}
field() { pacman -Si -- "${@:2}" 2>/dev/null | sed -n "s/^$1 *: //p"; }
blames() {
  local who=outside
  [[ $(found %r "$1") == "$namespace" ]] && who=member
  echo "$who $1 $(base_of "$1") $2"
  exit 0
}
for each; do
  of=$(found '%r %n' "$each")
  [[ $of && ${of% *} != "$namespace" ]] || continue
  version=$(rebuilt "${of#* }")
  [[ $version ]] && echo "own $each ${of#* } $version" && exit 0
done
[[ $(found %r "${dependency%%[<>=]*}") == "$namespace" ]] || exit 0
[[ $(found %r "$dependency") == "$namespace" ]] || blames "$package" "$dependency"
# The rebuild meets it: something else that is installed with it holds the old version.
target=$(found %n "$dependency")
names=" $target "
for each in $(field Provides "$target"); do names+="${each%%[<>=]*} "; done
seen=' '
level=("${@%%[<>=]*}")
while (( ${#level[@]} )); do
  next=()
  while read -r key _ values; do
    if [[ $key == Name ]]; then
      name=$values skip=
      [[ $seen == *" $name "* ]] && skip=1
      seen+="$name "
    elif [[ ! $skip ]]; then
      for each in $values; do
        bare=${each%%[<>=]*}
        if [[ $names == *" $bare "* ]] && of=$(found '%n %r' "$each") &&
          [[ $of == "$target "* && $of != "$target $namespace" ]]; then
          blames "$name" "$each"
        fi
        [[ $seen == *" $bare "* || $each == None ]] || next+=("$bare")
      done
    fi
  done < <(pacman -Si -- "${level[@]}" 2>/dev/null | sed -n 's/^Depends On *:/Depends :/; /^Name \|^Depends /p')
  level=("${next[@]}")
done
"#;

impl Blame {
    /// Asks pacman which package of the repositories satisfies each dependency.
    pub(super) fn find(
        root: &Root,
        namespace: &RepositoryName,
        dependency: &str,
        package: &str,
        own: &[String],
    ) -> Result<Self, Failure> {
        let script = format!("{BASE_OF}{FIND}");
        let fixed = [namespace.as_str(), dependency, package];
        let arguments: Vec<&str> = ["bash", "-c", &script, "bash"]
            .into_iter()
            .chain(fixed)
            .chain(own.iter().map(String::as_str))
            .collect();
        let output = Sandboxed::new(View::ReadOnly(root), Identity::Root)
            .env("LC_ALL", "C")
            .output(&arguments)?;
        Ok(Self::parse(&String::from_utf8_lossy(&output.stdout)))
    }

    fn parse(text: &str) -> Self {
        let mut blame = Self::default();
        for line in text.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["own", own, name, version] => {
                    blame.own = Some((own.to_owned(), format!("{name} {version}")));
                }
                [who @ ("member" | "outside"), name, pkgbase, dependency] => {
                    blame.other = Some(Other {
                        is_member: who == "member",
                        name: name.to_owned(),
                        pkgbase: pkgbase.to_owned(),
                        dependency: dependency.to_owned(),
                    });
                }
                _ => {}
            }
        }
        blame
    }

    /// Adds to pacman's message which package has to change.
    pub(super) fn explain(&self, said: &str, pkgbase: &Pkgbase) -> Explanation {
        if let Some((own, rebuilt)) = &self.own {
            return Explanation::with_hint(
                format!(
                    "{pkgbase} itself depends on `{own}`, which the rebuilt {rebuilt} does not satisfy \
                     ({said})"
                ),
                "change the dependency in the PKGBUILD and in .SRCINFO",
            );
        }
        let Some(other) = &self.other else {
            return said.into();
        };
        let Other {
            is_member,
            name,
            pkgbase,
            dependency,
        } = other;
        if *is_member {
            Explanation::with_hint(
                format!("{said}; {name} was rebuilt but still depends on `{dependency}`"),
                format!("change its depends in the PKGBUILD of {pkgbase}"),
            )
        } else {
            Explanation::with_hint(
                format!(
                    "{said}; {name}, which depends on `{dependency}`, is not part of the rebuild"
                ),
                format!("widen the scope or include {pkgbase}"),
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_built_package_before_others() {
        let blame = Blame::parse("own zq<2 zq 2-1\n");
        let pkgbase = "x".parse().unwrap();
        let why = blame.explain("no", &pkgbase);
        assert!(
            why.message
                .starts_with("x itself depends on `zq<2`, which the rebuilt zq 2-1"),
            "{why}"
        );
        let why = Blame::parse("outside o-libs o zq<2\n").explain("no", &pkgbase);
        let expected = "no; o-libs, which depends on `zq<2`, is not part of the rebuild";
        assert_eq!(why.message, expected);
        assert_eq!(why.hint.unwrap(), "widen the scope or include o");
        assert_eq!(Blame::parse("").explain("no", &pkgbase), "no".into());
    }

    #[test]
    fn explanations_match_snapshot() {
        let said = "unable to satisfy dependency 'zq<2' required by m";
        let explained =
            |text: &str| Failure::package(Blame::parse(text).explain(said, &"x".parse().unwrap()));
        let text = crate::failure::recorded([
            ("own dependency", explained("own zq<2 zq 2-1\n")),
            ("rebuilt package", explained("member m-libs m zq<2\n")),
            ("package outside", explained("outside o-libs o zq<2\n")),
            ("unknown package", explained("")),
        ]);
        insta::assert_snapshot!(text);
    }
}
