//! Headings of the builder's own in the log.

use std::io::{self, Write as _};
use std::sync::OnceLock;

use crate::log::Mark;

/// What the headings of this attempt are marked with.
static MARK: OnceLock<Mark> = OnceLock::new();

/// Sets the mark of this process's headings, once.
pub(super) fn set_mark(mark: &Mark) {
    MARK.get_or_init(|| mark.clone());
}

/// Writes a heading of the builder's own into the log.
pub(super) fn heading(text: &str) {
    let line = MARK.get().map_or_else(Vec::new, |mark| mark.line(text));
    let mut out = io::stdout().lock();
    // Without a reader there is nobody to tell.
    let _ = out.write_all(&line);
    let _ = out.flush();
}
