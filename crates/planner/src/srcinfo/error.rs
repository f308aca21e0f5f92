//! Why an `.SRCINFO` cannot be used.

/// Why nothing can be planned with an `.SRCINFO`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SrcinfoError {
    /// A field without which there is no package is missing or empty.
    #[error("no usable {0}")]
    Missing(&'static str),
    /// A field without which there is no package has an impossible value.
    #[error(transparent)]
    Invalid(#[from] buildbtw_model::InvalidName),
    /// A stored form was not written by this program.
    #[error("not the stored form of a source package: {0:?}")]
    NotStored(String),
    /// It says more than any package does, and reading it would cost time and memory.
    #[error("more than {most} {of}")]
    TooMuch {
        /// The limit.
        most: usize,
        /// What there is too much of.
        of: &'static str,
    },
}
