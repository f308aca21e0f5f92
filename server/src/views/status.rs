//! States as an icon, a word and a tone, so that a state is recognisable without colours.

use askama::Template;
use buildbtw_model::api::AttemptSummary;
use buildbtw_model::{AttemptStatus, BuildStatus, FailureKind, IterationStatus, WorkerStatus};

use super::html_part;

/// The badge of a state.
#[derive(Clone, Copy, Template)]
#[template(path = "parts/badge.html")]
pub(crate) struct Badge {
    /// A class of the style sheet.
    tone: &'static str,
    /// A symbol of the layout.
    icon: &'static str,
    pub(crate) label: &'static str,
}

html_part!(Badge);

const fn badge(tone: &'static str, icon: &'static str, label: &'static str) -> Badge {
    Badge { tone, icon, label }
}

impl From<BuildStatus> for Badge {
    fn from(status: BuildStatus) -> Self {
        match status {
            BuildStatus::Blocked => badge("wait", "hourglass", "blocked"),
            BuildStatus::Ready => badge("next", "circle", "ready"),
            BuildStatus::Dispatched => badge("run", "arrow", "dispatched"),
            BuildStatus::Building => badge("run", "half", "building"),
            BuildStatus::Built => badge("ok", "check", "built"),
            BuildStatus::Reused => badge("ok", "copy", "reused"),
            BuildStatus::Failed => badge("bad", "cross", "failed"),
            BuildStatus::Cancelled => badge("off", "slash", "cancelled"),
        }
    }
}

impl From<IterationStatus> for Badge {
    fn from(status: IterationStatus) -> Self {
        match status {
            IterationStatus::Running => badge("run", "half", "running"),
            IterationStatus::Done => badge("ok", "check", "done"),
            IterationStatus::Failed => badge("bad", "cross", "failed"),
            IterationStatus::Cancelled => badge("off", "slash", "cancelled"),
        }
    }
}

impl From<WorkerStatus> for Badge {
    fn from(status: WorkerStatus) -> Self {
        match status {
            WorkerStatus::Idle => badge("next", "circle", "idle"),
            WorkerStatus::Building => badge("run", "half", "building"),
            WorkerStatus::Draining => badge("warn", "hourglass", "draining"),
            WorkerStatus::Drained => badge("off", "slash", "drained"),
            WorkerStatus::LostContact | WorkerStatus::Other => badge("bad", "lost", "lost contact"),
        }
    }
}

impl From<&AttemptSummary> for Badge {
    fn from(attempt: &AttemptSummary) -> Self {
        match (attempt.status, attempt.failure) {
            (AttemptStatus::Queued, _) => badge("run", "arrow", "dispatched"),
            (AttemptStatus::Running, _) => badge("run", "half", "running"),
            (AttemptStatus::Succeeded, _) => badge("ok", "check", "succeeded"),
            (AttemptStatus::Lost, _) => badge("warn", "lost", "lost"),
            (AttemptStatus::Failed, None | Some(FailureKind::Package)) => {
                badge("bad", "cross", "failed")
            }
            (AttemptStatus::Failed, Some(FailureKind::Infrastructure)) => {
                badge("warn", "cross", "infrastructure failure")
            }
            (AttemptStatus::Failed, Some(FailureKind::Timeout)) => {
                badge("bad", "hourglass", "timed out")
            }
            (AttemptStatus::Failed, Some(FailureKind::Memory)) => {
                badge("bad", "warning", "out of memory")
            }
            (AttemptStatus::Failed, Some(FailureKind::Cancelled)) => {
                badge("off", "slash", "cancelled")
            }
        }
    }
}
