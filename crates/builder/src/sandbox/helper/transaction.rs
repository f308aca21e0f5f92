//! Explains why pacman refuses a transaction. The repositories determine this, so a retry would not help: it
//! is the fault of the package, or of the plan that leaves something out.

use buildbtw_model::{Explanation, Pkgbase};

use super::blame::Blame;
use super::failures;
use super::root::Root;
use crate::failure::Failure;
use crate::request::BuildRequest;

/// Pacman's messages while it prepares a transaction.
#[derive(Debug, Default)]
pub(super) struct Transaction {
    /// Targets that no repository has.
    missing: Vec<String>,
    refusal: Option<Refusal>,
}

/// A reason, with the packages that it names.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Refusal {
    text: String,
    /// The dependency, and the package that has it.
    dependency: Option<(String, String)>,
    /// Whether the lines before it give the reason.
    see_log: bool,
}

/// Messages by which pacman refuses a transaction permanently.
const REFUSALS: &[&str] = &[
    " breaks dependency '",
    " exists in both '",
    " exists in filesystem",
    " does not have a valid architecture",
    HOOK_FAILED,
];
/// Only a hook with `AbortOnFail` ends a transaction, and it runs again with each one.
const HOOK_FAILED: &str = "(failed to run transaction hooks)";

impl Transaction {
    /// Processes the next line of pacman's output. Its questions also end the transaction, but explain
    /// nothing.
    pub(super) fn line(&mut self, line: &str) {
        let text = after_question(line).trim();
        if let Some(target) = text.strip_prefix("error: target not found: ") {
            self.missing.push(target.to_owned());
            return;
        }
        let text = text.strip_prefix(":: ").unwrap_or(text);
        let is_refusal = text.starts_with("unable to satisfy dependency '")
            || (text.contains(" are in conflict") && !text.ends_with('?'))
            || REFUSALS.iter().any(|phrase| text.contains(phrase));
        if is_refusal && self.refusal.is_none() && !text.starts_with("warning: ") {
            self.refusal = Some(Refusal {
                text: text.strip_prefix("error: ").unwrap_or(text).to_owned(),
                dependency: dependency_in(text),
                see_log: text.contains(HOOK_FAILED),
            });
        }
    }

    /// Returns the failure, if pacman gave a permanent reason.
    pub(super) fn failure(
        &self,
        root: &Root,
        request: &BuildRequest,
    ) -> Result<Option<Failure>, Failure> {
        if !self.missing.is_empty() {
            return Ok(Some(missing_targets(&self.missing, &request.pkgbase)));
        }
        let Some(refusal) = &self.refusal else {
            return Ok(None);
        };
        let mut why = Explanation::from(&*refusal.text);
        if let (Some((dependency, package)), Some(namespace)) =
            (&refusal.dependency, &request.namespace_repository)
        {
            let blame = Blame::find(root, namespace, dependency, package, &request.dependencies)?;
            why = blame.explain(&refusal.text, &request.pkgbase);
        }
        let failure = failures::not_installed(why);
        Ok(Some(if refusal.see_log {
            failure.see_log()
        } else {
            failure
        }))
    }
}

fn missing_targets(missing: &[String], pkgbase: &Pkgbase) -> Failure {
    let names: Vec<String> = missing.iter().map(|name| format!("`{name}`")).collect();
    Failure::package(format!(
        "no repository has {}, on which {pkgbase} depends",
        names.join(" and ")
    ))
    .hint("correct depends, makedepends or checkdepends, or add a repository that has it")
}

/// Returns the text after a question, which has no line feed when pacman does not wait for an answer.
fn after_question(line: &str) -> &str {
    ["[Y/n]", "[y/N]"]
        .iter()
        .find_map(|question| line.split_once(question))
        .map_or(line, |(_, rest)| rest)
}

/// Parses `'D' required by P`.
fn dependency_in(text: &str) -> Option<(String, String)> {
    let (before, package) = text.split_once("' required by ")?;
    let (_, dependency) = before.rsplit_once('\'')?;
    let package = package.split(' ').next().unwrap_or(package);
    Some((dependency.to_owned(), package.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(log: &str) -> Option<Refusal> {
        let mut transaction = Transaction::default();
        log.lines().for_each(|line| transaction.line(line));
        transaction.refusal
    }

    #[test]
    fn reads_refusal_from_message_instead_of_question() {
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
            (
                "error: failed to commit transaction (conflicting files)\na: /usr/bin/x exists in filesystem\n",
                "a: /usr/bin/x exists in filesystem",
            ),
            (
                "error: failed to prepare transaction (package architecture is not valid)\n:: package a-1-1-aarch64 does not have a valid architecture\n",
                "package a-1-1-aarch64 does not have a valid architecture",
            ),
            (
                "error: command failed to execute correctly\nerror: failed to commit transaction (failed to run transaction hooks)\n",
                "failed to commit transaction (failed to run transaction hooks)",
            ),
        ] {
            assert_eq!(refusal(log).unwrap().text, expected, "{log}");
        }
    }

    #[test]
    fn ignores_temporary_failures() {
        for log in [
            "error: failed retrieving file 'x.pkg.tar.zst' from mirror : The requested URL returned error: 404\nerror: failed to commit transaction (failed to retrieve some files)\n",
            "error: x: signature from \"T\" is invalid\nerror: failed to commit transaction (invalid or corrupted package)\n",
            ":: Replace a with extra/b? [Y/n] \n",
        ] {
            assert_eq!(refusal(log), None, "{log}");
        }
    }

    #[test]
    fn names_package_that_requires_the_dependency() {
        let refusal =
            refusal(":: installing l (2-1) breaks dependency 'l.so=1-64' required by outsider\n");
        let expected = ("l.so=1-64".to_owned(), "outsider".to_owned());
        assert_eq!(refusal.unwrap().dependency, Some(expected));
    }

    #[test]
    fn names_missing_dependency_and_its_dependent() {
        let mut transaction = Transaction::default();
        transaction.line("error: target not found: nosuch>=2");
        let failure = missing_targets(&transaction.missing, &"greeter".parse().unwrap());
        assert!(
            failure
                .message
                .starts_with("no repository has `nosuch>=2`, on which greeter depends"),
            "{failure}"
        );
    }

    #[test]
    fn failure_matches_snapshot() {
        let missing = ["nosuch>=2".to_owned(), "other".to_owned()];
        let pkgbase = "greeter".parse().unwrap();
        let text = crate::failure::recorded([(
            "unknown dependencies",
            missing_targets(&missing, &pkgbase),
        )]);
        insta::assert_snapshot!(text);
    }
}
