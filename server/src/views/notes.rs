//! The planner's notes, grouped by kind.

use buildbtw_model::NoteKind;
use buildbtw_model::api::PlanNote;

/// Maximum number of notes of a kind that are shown unfolded.
const UNFOLDED: usize = 5;
/// Maximum number of listed notes, to keep the page small; the rest is counted.
const LISTED: usize = 200;

/// The notes of one kind.
pub(crate) struct NoteGroup {
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    /// Their meaning for the rebuild.
    pub(crate) meaning: &'static str,
    pub(crate) count: usize,
    pub(crate) open: bool,
    pub(crate) texts: Vec<String>,
    pub(crate) more: usize,
}

/// Groups notes by kind, the most urgent first.
pub(crate) fn group(notes: &[PlanNote]) -> Vec<NoteGroup> {
    const KINDS: [(NoteKind, &str, &str); 3] = [
        (
            NoteKind::Problem,
            "Problems",
            "These usually require a fix in the source or the request.",
        ),
        (
            NoteKind::Cycle,
            "Dependency cycles",
            "Builds that need each other; packages where the cycle is broken are built twice.",
        ),
        (
            NoteKind::Unresolved,
            "Unresolved names",
            "No source repository provides these; builds install them from the base repositories.",
        ),
    ];
    let known = |kind: NoteKind| KINDS.iter().any(|(name, ..)| *name == kind);
    let mut groups = Vec::new();
    for (kind, title, meaning) in KINDS {
        let texts = notes.iter().filter(|note| note.kind == kind);
        groups.extend(note_group(kind.as_str(), title, meaning, texts));
    }
    let others = notes.iter().filter(|note| !known(note.kind));
    groups.extend(note_group("other", "Notes", "", others));
    groups
}

fn note_group<'a>(
    id: &'static str,
    title: &'static str,
    meaning: &'static str,
    notes: impl Iterator<Item = &'a PlanNote>,
) -> Option<NoteGroup> {
    let mut texts: Vec<String> = notes.map(|note| note.text.clone()).collect();
    let count = texts.len();
    texts.truncate(LISTED);
    (count > 0).then(|| NoteGroup {
        id,
        title,
        meaning,
        count,
        open: count <= UNFOLDED,
        more: count - texts.len(),
        texts,
    })
}
