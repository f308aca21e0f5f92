//! What an iteration does differently from the one before, in words.

use buildbtw_model::api::IterationChange;
use buildbtw_model::{ChangeKind, CommitHash};

/// More changes than this are folded.
const UNFOLDED: usize = 8;
/// More are counted, not listed.
const LISTED: usize = 200;

/// See the module.
pub(crate) struct Changes {
    pub(crate) rows: Vec<Row>,
    pub(crate) count: usize,
    pub(crate) more: usize,
    pub(crate) open: bool,
}

/// One difference.
pub(crate) struct Row {
    pub(crate) change: IterationChange,
    pub(crate) label: &'static str,
    /// The commits before and now, where they differ.
    pub(crate) commits: Option<(CommitHash, CommitHash)>,
}

impl Changes {
    pub(crate) fn new(changes: &[IterationChange]) -> Self {
        let rows = changes.iter().take(LISTED).map(|change| Row {
            label: label(change.kind),
            commits: change
                .from
                .clone()
                .zip(change.to.clone())
                .filter(|(from, to)| from != to),
            change: change.clone(),
        });
        Self {
            rows: rows.collect(),
            count: changes.len(),
            more: changes.len().saturating_sub(LISTED),
            open: changes.len() <= UNFOLDED,
        }
    }
}

fn label(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Added => "new",
        ChangeKind::Removed => "removed",
        ChangeKind::Changed => "new commit",
        ChangeKind::Rewired => "changed dependencies",
        ChangeKind::Other => "changed",
    }
}
