//! Differences of an iteration from the previous one.

use buildbtw_model::api::IterationChange;
use buildbtw_model::{ChangeKind, CommitHash};

/// Maximum number of changes that are shown unfolded.
const UNFOLDED: usize = 8;
/// Maximum number of listed changes; the rest is counted.
const LISTED: usize = 200;

/// The differences.
pub(crate) struct Changes {
    pub(crate) rows: Vec<Row>,
    pub(crate) count: usize,
    pub(crate) more: usize,
    pub(crate) open: bool,
}

/// A difference.
pub(crate) struct Row {
    pub(crate) change: IterationChange,
    pub(crate) label: &'static str,
    /// The old and new commit, if they differ.
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
