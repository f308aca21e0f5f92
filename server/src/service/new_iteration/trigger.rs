//! The triggers of new iterations.

/// Why a namespace is planned again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// A user requested it.
    Requested {
        /// Whether to plan with the current base repositories.
        refresh_base: bool,
    },
    /// A source repository changed. An unchanged plan leads to no iteration.
    SourcesChanged,
}
