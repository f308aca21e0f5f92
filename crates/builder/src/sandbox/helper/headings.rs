//! Writes the builder's headings into the log.

use std::io::{self, Write as _};
use std::sync::OnceLock;

use crate::log::Mark;

/// The mark of the headings of this attempt.
static MARK: OnceLock<Mark> = OnceLock::new();

/// Sets the mark of this process's headings, once.
pub(super) fn set_mark(mark: &Mark) {
    MARK.get_or_init(|| mark.clone());
}

/// Writes a heading into the log.
pub(super) fn heading(text: &str) {
    let line = MARK.get().map_or_else(Vec::new, |mark| mark.line(text));
    let mut out = io::stdout().lock();
    // An error means that there is no reader any more.
    let _ = out.write_all(&line);
    let _ = out.flush();
}
