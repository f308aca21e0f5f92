//! What planning needs of an `.SRCINFO`, in a form that is cheap to store and to load.
//!
//! alpm-srcinfo reads a file completely or not at all. Real files hold remains of shell code
//! (`guile>=`) that nobody notices until a strict reader loses a whole package over them. So
//! [`parse_srcinfo`] asks alpm-srcinfo first, and where that refuses, the line reader keeps
//! everything but the bad lines and reports those.

mod draft;
mod error;
mod field;
mod limits;
mod lines;
mod overrides;
mod package;
mod stored;
mod strict;
mod text;

pub use error::SrcinfoError;
pub(crate) use package::BuildField;
pub use package::{LineProblem, Package, SourcePackage};

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
