//! The parts of an `.SRCINFO` that planning needs, in a form that is cheap to store and to load.
//!
//! alpm-srcinfo rejects a whole file because of a single bad line. Real files contain remains of shell code (`guile>=`)
//! that only a strict parser notices. So [`parse_srcinfo`] tries alpm-srcinfo first. If that fails, the lenient parser
//! reads the file and reports the bad lines.

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

/// Parses an `.SRCINFO`.
///
/// # Errors
///
/// Fails if there is no usable `pkgbase`, `pkgver`, `pkgrel` or `pkgname`, or if the file exceeds a limit. All other
/// bad lines are ignored and listed in [`SourcePackage::problems`].
pub fn parse_srcinfo(text: &str) -> Result<SourcePackage, SrcinfoError> {
    // Some editors write a byte order mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    limits::check_text(text)?;
    match strict::read(text) {
        Some(draft) => draft.finish(),
        None => lines::read(text).finish(),
    }
}
