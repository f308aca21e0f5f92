//! Why pacman refuses to install something. What the repositories hold decides that, and asking
//! again changes nothing: it is the fault of the package, or of the plan that leaves something out.

use buildbtw_model::{Pkgbase, RepositoryName};

use super::bwrap::{Sandboxed, View};
use super::root::Root;
use crate::sandbox::job::Failure;
use crate::sys::Identity;

/// What pacman says while it prepares a transaction.
#[derive(Debug, Default)]
pub(super) struct Transaction {
    /// Targets that no repository has.
    missing: Vec<String>,
    refusal: Option<Refusal>,
}

/// A reason, with the packages that it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Refusal {
    text: String,
    /// The dependency and the package that has it.
    dependency: Option<(String, String)>,
}

impl Transaction {
    /// Reads the next line of pacman's output. Its questions end the transaction as well, and
    /// explain nothing.
    pub(super) fn line(&mut self, line: &str) {
        let text = after_question(line).trim();
        if let Some(target) = text.strip_prefix("error: target not found: ") {
            self.missing.push(target.to_owned());
            return;
        }
        let text = text.strip_prefix(":: ").unwrap_or(text);
        let is_refusal = text.starts_with("unable to satisfy dependency '")
            || text.contains(" breaks dependency '")
            || (text.contains(" are in conflict") && !text.ends_with('?'))
            || text.contains(" exists in both '");
        if is_refusal && self.refusal.is_none() && !text.starts_with("warning: ") {
            self.refusal = Some(Refusal {
                text: text.to_owned(),
                dependency: dependency_in(text),
            });
        }
    }

    /// The failure, if pacman said why and will say so again.
    pub(super) fn failure(
        &self,
        root: &Root,
        pkgbase: &Pkgbase,
        namespace: Option<&RepositoryName>,
    ) -> Result<Option<Failure>, Failure> {
        if !self.missing.is_empty() {
            return Ok(Some(lacking(&self.missing, pkgbase)));
        }
        let Some(refusal) = &self.refusal else {
            return Ok(None);
        };
        let mut message = format!("the dependencies cannot be installed: {}", refusal.text);
        if let (Some((dependency, package)), Some(namespace)) = (&refusal.dependency, namespace)
            && let Some(base) = outside(root, namespace, dependency, package)?
        {
            message.push_str(&format!(
                "; {package} is outside of the rebuild: widen the scope or include {base}"
            ));
        }
        Ok(Some(Failure::package(message)))
    }
}

fn lacking(missing: &[String], pkgbase: &Pkgbase) -> Failure {
    let names: Vec<String> = missing.iter().map(|name| format!("`{name}`")).collect();
    Failure::package(format!(
        "no repository has {}, on which {pkgbase} depends\nhint: correct depends, makedepends or \
         checkdepends, or add a repository that has it",
        names.join(" and ")
    ))
}

/// What follows a question, which ends without a line feed when nobody is asked.
fn after_question(line: &str) -> &str {
    ["[Y/n]", "[y/N]"]
        .iter()
        .find_map(|question| line.split_once(question))
        .map_or(line, |(_, rest)| rest)
}

/// `'D' required by P`.
fn dependency_in(text: &str) -> Option<(String, String)> {
    let (before, package) = text.split_once("' required by ")?;
    let (_, dependency) = before.rsplit_once('\'')?;
    let package = package.split(' ').next().unwrap_or(package);
    Some((dependency.to_owned(), package.to_owned()))
}

/// The pkgbase of a package that is no member of the rebuild, when it depends on one.
fn outside(
    root: &Root,
    namespace: &RepositoryName,
    dependency: &str,
    package: &str,
) -> Result<Option<String>, Failure> {
    let name = dependency
        .split(['<', '>', '='])
        .next()
        .unwrap_or(dependency);
    let script = format!(
        "{BASE_OF}
         repository() {{ pacman -Sddp --print-format %r -- \"$1\" 2>/dev/null | tail -n 1; }}
         [[ $(repository \"$2\") == \"$1\" && $(repository \"$3\") != \"$1\" ]] && base_of \"$3\"
         true"
    );
    let arguments = [
        "bash",
        "-c",
        &script,
        "bash",
        namespace.as_str(),
        name,
        package,
    ];
    let output = Sandboxed::new(View::ReadOnly(root), Identity::Root).output(&arguments)?;
    let base = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    Ok((!base.is_empty()).then_some(base))
}

/// A function of bash that writes the pkgbase of a package in the repositories, or its own name
/// where that is not known.
pub(super) const BASE_OF: &str = r#"
base_of() {
  local found base
  found=$(pacman -Sddp --print-format '%r %v' -- "$1" 2>/dev/null | tail -n 1)
  base=$(bsdtar -xOf "/var/lib/pacman/sync/${found% *}.db" "$1-${found#* }/desc" 2>/dev/null |
    sed -n '/^%BASE%$/{n;p;q}')
  printf '%s\n' "${base:-$1}"
}"#;

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(log: &str) -> Option<Refusal> {
        let mut transaction = Transaction::default();
        log.lines().for_each(|line| transaction.line(line));
        transaction.refusal
    }

    #[test]
    fn the_message_decides_and_not_the_question() {
        for (log, expected) in [
            (
                ":: The following package cannot be upgraded due to unresolvable dependencies:\n      x\n:: Do you want to skip the above package for this upgrade? [y/N] error: failed to prepare transaction (could not satisfy dependencies)\n:: unable to satisfy dependency 'liby.so=1-64' required by x\n",
                "unable to satisfy dependency 'liby.so=1-64' required by x",
            ),
            (
                "error: failed to prepare transaction (could not satisfy dependencies)\n:: installing libgreet (2.0-1) breaks dependency 'libgreet.so=1-64' required by outsider\n",
                "installing libgreet (2.0-1) breaks dependency 'libgreet.so=1-64' required by outsider",
            ),
            (
                ":: a and b are in conflict. Remove b? [y/N] \nerror: unresolvable package conflicts detected\nerror: failed to prepare transaction (conflicting dependencies)\n:: a-1-1 and b-1-1 are in conflict\n",
                "a-1-1 and b-1-1 are in conflict",
            ),
            (
                "error: failed to commit transaction (conflicting files)\n/usr/bin/x exists in both 'a' and 'b'\n",
                "/usr/bin/x exists in both 'a' and 'b'",
            ),
        ] {
            assert_eq!(refusal(log).unwrap().text, expected, "{log}");
        }
    }

    #[test]
    fn what_passes_is_no_refusal() {
        for log in [
            "error: failed retrieving file 'x.pkg.tar.zst' from mirror : The requested URL returned error: 404\nerror: failed to commit transaction (failed to retrieve some files)\n",
            "error: x: signature from \"T\" is invalid\nerror: failed to commit transaction (invalid or corrupted package)\n",
            "a: /usr/bin/x exists in filesystem\n",
            ":: Replace a with extra/b? [Y/n] \n",
        ] {
            assert_eq!(refusal(log), None, "{log}");
        }
    }

    #[test]
    fn the_one_that_needs_it_is_known() {
        let refusal =
            refusal(":: installing l (2-1) breaks dependency 'l.so=1-64' required by outsider\n");
        let expected = ("l.so=1-64".to_owned(), "outsider".to_owned());
        assert_eq!(refusal.unwrap().dependency, Some(expected));
    }

    #[test]
    fn a_dependency_that_nobody_has_is_named_with_who_wants_it() {
        let mut transaction = Transaction::default();
        transaction.line("error: target not found: nosuch>=2");
        let failure = lacking(&transaction.missing, &"greeter".parse().unwrap());
        assert!(
            failure
                .message
                .starts_with("no repository has `nosuch>=2`, on which greeter depends"),
            "{failure}"
        );
    }
}
