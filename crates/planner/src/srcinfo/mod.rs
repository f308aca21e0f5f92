//! What planning needs of an `.SRCINFO`, in a form that is cheap to store and to load.
//!
//! alpm-srcinfo reads a file completely or not at all. Real files hold remains of shell code
//! (`guile>=`) that nobody notices until a strict reader loses a whole package over them. So
//! [`parse_srcinfo`] asks alpm-srcinfo first, and where that refuses, the line reader keeps
//! everything but the bad lines and reports those.

mod draft;
mod limits;
mod lines;
mod overrides;
mod package;
mod strict;

pub(crate) use package::BuildField;
pub use package::{LineProblem, Package, SourcePackage};

/// Why nothing can be planned with an `.SRCINFO`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SrcinfoError {
    /// A field without which there is no package is missing or empty.
    #[error("there is no usable {0} in it")]
    Missing(&'static str),
    /// A field without which there is no package has an impossible value.
    #[error(transparent)]
    Invalid(#[from] buildbtw_model::InvalidName),
    /// A stored form was not written by this program.
    #[error("this is not the stored form of a source package: {0:?}")]
    NotStored(String),
    /// It says more than any package does, and reading it would cost time and memory.
    #[error("it has more than {most} {of}")]
    TooMuch {
        /// The limit.
        most: usize,
        /// What there is too much of.
        of: &'static str,
    },
}

/// Reads an `.SRCINFO`.
///
/// # Errors
///
/// Only when there is no usable `pkgbase`, `pkgver`, `pkgrel` or `pkgname`, or far more of something
/// than a package has. Any other bad line is left out and listed in [`SourcePackage::problems`].
pub fn parse_srcinfo(text: &str) -> Result<SourcePackage, SrcinfoError> {
    // What some editors put before a text.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    limits::check_text(text)?;
    match strict::read(text) {
        Some(draft) => draft.finish(),
        None => lines::read(text).finish(),
    }
}
