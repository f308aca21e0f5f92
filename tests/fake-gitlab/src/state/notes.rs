//! Notes of merge requests.

use jiff::Timestamp;

/// A note.
#[derive(Clone, Debug)]
pub(crate) struct Note {
    pub(crate) id: u64,
    pub(crate) project: u64,
    /// The merge request's number within the project.
    pub(crate) merge_request: u64,
    pub(crate) author: u64,
    pub(crate) body: String,
    pub(crate) internal: bool,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
}
