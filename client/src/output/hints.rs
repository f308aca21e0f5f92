//! Hints: the next step for the user, on a line of its own.

use super::clean::clean;
use super::style;

/// Returns the line that shows a hint. All hints are printed through this function.
pub(crate) fn hint_line(hint: &str) -> String {
    format!("{} {}", style::paint(style::HINT, "hint:"), clean(hint))
}
