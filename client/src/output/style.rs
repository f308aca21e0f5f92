//! The colours of the output.

use anstyle::{AnsiColor, Style};
use buildbtw_model::{BuildStatus, IterationStatus};

pub(crate) const PLAIN: Style = Style::new();
pub(crate) const ERROR: Style = AnsiColor::Red.on_default().bold();
pub(crate) const HINT: Style = AnsiColor::Cyan.on_default();
pub(crate) const HEADER: Style = Style::new().bold();
pub(crate) const FAINT: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default();
const BUSY: Style = AnsiColor::Yellow.on_default();

/// Returns the colour of a build's state.
pub(crate) fn build(status: BuildStatus) -> Style {
    match status {
        BuildStatus::Built | BuildStatus::Reused => GOOD,
        BuildStatus::Failed => BAD,
        BuildStatus::Building | BuildStatus::Dispatched => BUSY,
        BuildStatus::Ready => PLAIN,
        BuildStatus::Blocked | BuildStatus::Cancelled => FAINT,
    }
}

/// Returns the colour of an iteration's state.
pub(crate) fn iteration(status: IterationStatus) -> Style {
    match status {
        IterationStatus::Done => GOOD,
        IterationStatus::Failed => BAD,
        IterationStatus::Running => BUSY,
        IterationStatus::Cancelled => FAINT,
    }
}

/// Returns the colour of a usable or unusable source.
pub(crate) fn usable(usable: bool) -> Style {
    if usable { GOOD } else { BAD }
}

/// Returns a text in a style.
pub(crate) fn paint(style: Style, text: impl std::fmt::Display) -> String {
    format!("{style}{text}{style:#}")
}
