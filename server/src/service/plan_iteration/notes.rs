//! The notes of a plan.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use buildbtw_model::api::PlanNote;
use buildbtw_model::{NoteKind, Pkgbase, RepositoryName};
use buildbtw_planner::Plan;

use super::planned::PlannedArchitecture;
use crate::repos::base::{BaseSnapshot, NOT_CHECKED};

/// The maximum number of names in a note.
const MAX_NAMES: usize = 8;

/// Returns the notes of an architecture's plan, in the order in which they are shown.
pub(super) fn notes(part: &PlannedArchitecture) -> Vec<PlanNote> {
    let mut notes = base_notes(&part.base, &part.moved);
    notes.extend(part.plan.problems.iter().map(|problem| {
        let text = format!("{}: {}", problem.pkgbase, problem.message);
        note(NoteKind::Problem, text)
    }));
    notes.extend(plan_notes(&part.plan, &part.base));
    notes
}

fn note(kind: NoteKind, text: String) -> PlanNote {
    PlanNote { kind, text }
}

fn base_notes(base: &BaseSnapshot, moved: &[RepositoryName]) -> Vec<PlanNote> {
    let mut notes = Vec::new();
    for (repository, digest) in &base.databases {
        if let Err(problem) = digest {
            let text = format!("base repository {repository}: {problem}");
            notes.push(note(NoteKind::Problem, text));
        }
    }
    if base.is_incomplete() {
        notes.push(note(NoteKind::Problem, NOT_CHECKED.to_owned()));
    }
    for repository in moved {
        notes.push(note(
            NoteKind::Base,
            format!(
                "base repository {repository} has changed since this namespace was first planned; \
                 builds install what it holds now, `new-iteration --refresh-base` plans with it"
            ),
        ));
    }
    notes
}

fn plan_notes(plan: &Plan, base: &BaseSnapshot) -> Vec<PlanNote> {
    let mut rest = Vec::new();
    for cycle in &plan.cycles {
        let members = &cycle.members;
        let mut text = format!(
            "dependency cycle of {} packages: {}",
            members.len(),
            list_names(members)
        );
        for edge in cycle.broken.iter().take(MAX_NAMES) {
            let which = if plan.is_omitted(edge) {
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
        if cycle.broken.len() > MAX_NAMES {
            let _ = write!(
                text,
                "; and {} more such builds",
                cycle.broken.len() - MAX_NAMES
            );
        }
        rest.push(note(NoteKind::Cycle, text));
    }
    // Dependencies that the base repositories have are resolved when a build installs them.
    let mut unresolved: BTreeMap<&str, Vec<&Pkgbase>> = BTreeMap::new();
    for missing in &plan.unresolved {
        if base.versions.of(&missing.name).is_empty() {
            unresolved
                .entry(&missing.name)
                .or_default()
                .push(&missing.pkgbase);
        }
    }
    for (name, wanted_by) in unresolved {
        rest.push(note(
            NoteKind::Unresolved,
            format!("{name}, required by {}", list_names(&wanted_by)),
        ));
    }
    rest
}

fn list_names<T: std::fmt::Display>(names: &[T]) -> String {
    let mut text = String::new();
    for (index, name) in names.iter().take(MAX_NAMES).enumerate() {
        let comma = if index > 0 { ", " } else { "" };
        let _ = write!(text, "{comma}{name}");
    }
    if names.len() > MAX_NAMES {
        let _ = write!(text, " and {} more", names.len() - MAX_NAMES);
    }
    text
}
