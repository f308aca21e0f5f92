//! The kinds of activities.

use crate::EventKind;
use crate::IterationStatus;
use crate::states::api_enum;

api_enum! {
    /// The kind of an activity.
    ActivityKind, "kind of activity" {
        /// A namespace was created.
        Created = "namespace.created",
        /// Its origins, scope or patterns were changed.
        Edited = "namespace.edited",
        /// Its priority was changed.
        Prioritized = "namespace.prioritized",
        /// It was cancelled.
        Cancelled = "namespace.cancelled",
        /// It was resumed.
        Resumed = "namespace.resumed",
        /// It was deleted.
        Deleted = "namespace.deleted",
        /// Failed builds were retried.
        Retried = "builds.retried",
        /// A new iteration was planned.
        Planned = "iteration.planned",
        /// All builds of an iteration are built or reused.
        Done = "iteration.done",
        /// An iteration ended with failed builds.
        Failed = "iteration.failed",
        /// A worker was told to take no more builds.
        WorkerDrained = "worker.drained",
        /// A drained worker takes builds again.
        WorkerResumed = "worker.resumed",
        _ => /// A kind that this version of the program does not know.
        Other,
    }
}

impl ActivityKind {
    /// Returns the activity that an event of a namespace or an iteration is, if it is one. That of a planned iteration
    /// depends on its causes.
    #[must_use]
    pub fn of_event(kind: &EventKind) -> Option<Self> {
        match kind {
            EventKind::Iteration(IterationStatus::Done) => Some(Self::Done),
            EventKind::Iteration(IterationStatus::Failed) => Some(Self::Failed),
            EventKind::NamespaceCancelled => Some(Self::Cancelled),
            EventKind::NamespaceResumed => Some(Self::Resumed),
            EventKind::NamespacePrioritized => Some(Self::Prioritized),
            EventKind::Build(_)
            | EventKind::AttemptSucceeded
            | EventKind::AttemptFailed(_)
            | EventKind::AttemptLost
            | EventKind::Iteration(IterationStatus::Running | IterationStatus::Cancelled)
            | EventKind::IterationPlanned
            | EventKind::IterationSuperseded
            | EventKind::IterationRefused
            | EventKind::IterationCurrent
            | EventKind::Unknown(_) => None,
        }
    }
}
