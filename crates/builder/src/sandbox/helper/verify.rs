//! Whether what pacman installed is what the plan wants. pacman is content when any version meets a
//! dependency; a rebuild must have the rebuilt one.

use std::collections::{BTreeMap, BTreeSet};

use buildbtw_model::RepositoryName;

use super::bwrap::{Sandboxed, View, text};
use super::heading;
use super::root::Root;
use crate::sandbox::job::Failure;
use crate::sys::Identity;

/// Checks that every installed package that the namespace's repository has, has its version.
pub(super) fn installed(root: &Root, namespace: &RepositoryName) -> Result<(), Failure> {
    heading("verifying what is installed");
    let script = "pacman -Q && echo && pacman -Sl -- \"$1\"";
    let output = query(root).output(&["bash", "-c", script, "bash", namespace.as_str()])?;
    if !output.status.success() {
        return Err(Failure::infrastructure("pacman could not tell what is installed").see_log());
    }
    let text = text(output)?;
    let wrong = disagreements(&text);
    let Some((name, installed, planned)) = wrong.first() else {
        return Ok(());
    };
    let output = query(root).output(&["pacman", "-Qi", "--", name])?;
    let info = String::from_utf8_lossy(&output.stdout).into_owned();
    Err(Failure::infrastructure(explain(
        name,
        installed,
        planned,
        &required_by(&info),
        &rebuilt(&text),
    )))
}

fn query(root: &Root) -> Sandboxed<'_> {
    Sandboxed::new(View::ReadOnly(root), Identity::Root).env("LC_ALL", "C")
}

/// Name, installed version and version in the repository, for all that differ.
fn disagreements(text: &str) -> Vec<(&str, &str, &str)> {
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

/// The packages that the namespace's repository has.
fn rebuilt(text: &str) -> BTreeSet<&str> {
    let (_, repository) = text.split_once("\n\n").unwrap_or_default();
    let names = repository.lines().map(|line| line.split(' ').nth(1));
    names.flatten().collect()
}

fn required_by(info: &str) -> Vec<&str> {
    let mut lines = info
        .lines()
        .skip_while(|line| !line.starts_with("Required By"));
    let first = lines.next().and_then(|line| line.split_once(':'));
    let continued = lines.take_while(|line| line.starts_with(' '));
    first
        .map(|(_, names)| names)
        .into_iter()
        .chain(continued)
        .flat_map(str::split_whitespace)
        .filter(|name| *name != "None")
        .collect()
}

fn explain(
    name: &str,
    installed: &str,
    planned: &str,
    required_by: &[&str],
    rebuilt: &BTreeSet<&str>,
) -> String {
    let outside: Vec<&str> = required_by
        .iter()
        .copied()
        .filter(|package| !rebuilt.contains(package))
        .collect();
    let blamed = if outside.is_empty() {
        required_by
    } else {
        &outside
    };
    let mut message =
        format!("{name} {installed} was installed although the namespace has {name} {planned}");
    if blamed.is_empty() {
        message.push_str("; nothing installed asks for the old one");
    } else {
        let blamed = blamed.join(", ");
        message.push_str(&format!(
            ": {blamed}, outside of the rebuild, needs the old one; widen the scope or include {blamed}"
        ));
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_member_of_the_set_is_found() {
        let text = "bash 5.2-1\nlibgreet 1.0-1\n\nns libgreet 2.0-1 [installed: 1.0-1]\nns greeter 1.0-1.1\n";
        assert_eq!(disagreements(text), [("libgreet", "1.0-1", "2.0-1")]);
        let text = "libgreet 2.0-1\n\nns libgreet 2.0-1 [installed]\n";
        assert_eq!(disagreements(text), []);
    }

    #[test]
    fn the_package_outside_of_the_set_is_named() {
        let info = "Name            : libgreet\nRequired By     : greeter  outsider\n                  other\nOptional For    : None\n";
        let required = required_by(info);
        assert_eq!(required, ["greeter", "outsider", "other"]);
        let text = "libgreet 1.0-1\n\nns libgreet 2.0-1 [installed: 1.0-1]\nns greeter 1.0-1.1\nns other 1-1\n";
        let message = explain("libgreet", "1.0-1", "2.0-1", &required, &rebuilt(text));
        assert!(
            message.ends_with("widen the scope or include outsider"),
            "{message}"
        );
    }
}
