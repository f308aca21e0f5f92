//! What the planner found, in words.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use buildbtw_model::api::PlanNote;
use buildbtw_model::{Pkgbase, Pkgname, RepositoryName};
use buildbtw_planner::{Plan, Problem, SourcePackage};

use crate::repos::base::BaseSnapshot;

/// How many names a note lists.
const SHOWN: usize = 8;

/// The notes of a plan. `moved` are base repositories that are no longer as in the snapshot.
pub(super) fn notes(plan: &Plan, base: &BaseSnapshot, moved: &[RepositoryName]) -> Vec<PlanNote> {
    let note = |kind: &str, text: String| PlanNote {
        kind: kind.to_owned(),
        text,
    };
    let mut notes = Vec::new();
    for (repository, digest) in &base.databases {
        if let Err(problem) = digest {
            notes.push(note(
                "problem",
                format!("base repository {repository}: {problem}"),
            ));
        }
    }
    for repository in moved {
        notes.push(note(
            "base",
            format!(
                "base repository {repository} has changed since this namespace was first planned; \
                 builds install what it holds now, `new-iteration --refresh-base` plans with it"
            ),
        ));
    }
    notes.extend(problems(&plan.problems));
    for cycle in &plan.cycles {
        let members = &cycle.members;
        let mut text = format!(
            "{} packages need each other: {}",
            members.len(),
            some(members)
        );
        for edge in cycle.broken.iter().take(SHOWN) {
            let _ = write!(
                text,
                "; {} is built without the new {} first ({}), then again",
                edge.to, edge.from, edge.kind
            );
        }
        if cycle.broken.len() > SHOWN {
            let _ = write!(
                text,
                "; and {} more such breaks",
                cycle.broken.len() - SHOWN
            );
        }
        notes.push(note("cycle", text));
    }
    // What the base repositories hold is found when a build installs it.
    let mut unresolved: BTreeMap<&str, Vec<&Pkgbase>> = BTreeMap::new();
    for missing in &plan.unresolved {
        if !base.versions.contains_key(missing.name.as_ref()) {
            unresolved
                .entry(&missing.name)
                .or_default()
                .push(&missing.pkgbase);
        }
    }
    for (name, wanted_by) in unresolved {
        notes.push(note(
            "unresolved",
            format!("{name}, wanted by {}", some(&wanted_by)),
        ));
    }
    notes
}

/// What somebody should look at.
pub(super) fn problems(problems: &[Problem]) -> Vec<PlanNote> {
    let note = |problem: &Problem| PlanNote {
        kind: "problem".to_owned(),
        text: format!("{}: {}", problem.pkgbase, problem.message),
    };
    problems.iter().map(note).collect()
}

/// Packages that are built here and made by another source package, too: which of them a dependent
/// gets is anybody's guess.
pub(super) fn rivals<'a>(
    planned: impl Iterator<Item = &'a SourcePackage>,
    all: impl Iterator<Item = &'a SourcePackage>,
) -> Vec<PlanNote> {
    let mut makers: BTreeMap<&Pkgname, BTreeSet<&Pkgbase>> = BTreeMap::new();
    for package in planned {
        for pkgname in package.pkgnames() {
            makers.entry(pkgname).or_default().insert(package.pkgbase());
        }
    }
    for package in all {
        for pkgname in package.pkgnames() {
            if let Some(makers) = makers.get_mut(pkgname) {
                makers.insert(package.pkgbase());
            }
        }
    }
    makers.retain(|_, makers| makers.len() > 1);
    makers
        .into_iter()
        .map(|(pkgname, makers)| PlanNote {
            kind: "problem".to_owned(),
            text: format!(
                "{pkgname} is made by several source packages: {}",
                some(&makers.into_iter().collect::<Vec<_>>())
            ),
        })
        .collect()
}

fn some<T: std::fmt::Display>(names: &[T]) -> String {
    let mut text = String::new();
    for (index, name) in names.iter().take(SHOWN).enumerate() {
        let comma = if index > 0 { ", " } else { "" };
        let _ = write!(text, "{comma}{name}");
    }
    if names.len() > SHOWN {
        let _ = write!(text, " and {} more", names.len() - SHOWN);
    }
    text
}
