//! What the planner found, in words.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use buildbtw_model::api::PlanNote;
use buildbtw_model::{Pkgbase, RepositoryName};
use buildbtw_planner::{Plan, Problem};

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
            let which = if plan.is_left_out(edge) {
                ""
            } else {
                "the new "
            };
            let _ = write!(
                text,
                "; {} is built without {which}{} first ({}), then again",
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
