//! What leads to a new iteration.

/// Why a namespace is planned again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// Somebody asked.
    Requested {
        /// Whether to plan with what the base repositories hold now.
        refresh_base: bool,
    },
    /// Something changed in a source repository. Nothing is done if the plan is as before.
    SourcesChanged,
}
