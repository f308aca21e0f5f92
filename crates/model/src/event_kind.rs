//! Kinds of events. Programs branch on the kind, never on the message that comes with it.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ids::macros::sqlx_text;
use crate::{BuildStatus, FailureKind, IterationStatus};

/// The kind of an event, with its data. In JSON and SQL it is a text such as `build.built`, `iteration.planned` or
/// `attempt.failed.package`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum EventKind {
    /// A build changed to this status.
    Build(BuildStatus),
    /// The outcome of an attempt was accepted.
    AttemptSucceeded,
    /// An attempt failed with this kind of failure.
    AttemptFailed(FailureKind),
    /// The server lost contact with an attempt.
    AttemptLost,
    /// An iteration ended with this status.
    Iteration(IterationStatus),
    /// An iteration was planned.
    IterationPlanned,
    /// A newer iteration superseded this one.
    IterationSuperseded,
    /// No new iteration could be planned.
    IterationRefused,
    /// A new plan would equal the newest iteration.
    IterationCurrent,
    /// A namespace was cancelled.
    NamespaceCancelled,
    /// A namespace was resumed.
    NamespaceResumed,
    /// The priority of a namespace was changed.
    NamespacePrioritized,
    /// A kind that this version of the program does not know, as received.
    Unknown(Arc<str>),
}

/// The prefix of the texts for failed attempts; the failure kind follows.
const FAILED: &str = "attempt.failed.";
/// The prefix of the texts for builds; the status follows.
const BUILD: &str = "build.";
/// The prefix of the texts for iterations; a status or what happened follows.
const ITERATION: &str = "iteration.";

/// The kinds without data, with their texts.
static PLAIN: [(EventKind, &str); 9] = [
    (EventKind::AttemptSucceeded, "attempt.succeeded"),
    (EventKind::AttemptLost, "attempt.lost"),
    (EventKind::IterationPlanned, "iteration.planned"),
    (EventKind::IterationSuperseded, "iteration.superseded"),
    (EventKind::IterationRefused, "iteration.refused"),
    (EventKind::IterationCurrent, "iteration.current"),
    (EventKind::NamespaceCancelled, "namespace.cancelled"),
    (EventKind::NamespaceResumed, "namespace.resumed"),
    (EventKind::NamespacePrioritized, "namespace.prioritized"),
];

impl EventKind {
    /// Returns the status that the build changed to.
    #[must_use]
    pub fn build_status(&self) -> Option<BuildStatus> {
        match self {
            Self::Build(status) => Some(*status),
            _ => None,
        }
    }

    /// Returns whether the event is about an iteration as a whole. This includes unknown kinds of a newer server.
    #[must_use]
    pub fn is_about_iteration(&self) -> bool {
        match self {
            Self::Iteration(_)
            | Self::IterationPlanned
            | Self::IterationSuperseded
            | Self::IterationRefused
            | Self::IterationCurrent => true,
            Self::Unknown(text) => text.starts_with(ITERATION),
            Self::Build(_)
            | Self::AttemptSucceeded
            | Self::AttemptFailed(_)
            | Self::AttemptLost
            | Self::NamespaceCancelled
            | Self::NamespaceResumed
            | Self::NamespacePrioritized => false,
        }
    }

    /// Returns whether a text is a kind that this version knows, or the first parts of one: `attempt.failed`.
    #[must_use]
    pub fn begins_known_kind(text: &str) -> bool {
        let plain = PLAIN.iter().map(|(kind, _)| kind.clone());
        let builds = BuildStatus::ALL.iter().copied().map(Self::Build);
        let failures = FailureKind::ALL.iter().copied().map(Self::AttemptFailed);
        let iterations = IterationStatus::ALL.iter().copied().map(Self::Iteration);
        let mut known = plain.chain(builds).chain(failures).chain(iterations);
        known.any(|kind| kind.begins_with(text))
    }

    /// Returns whether this is the kind with that text, or one that begins with its parts: `build.built` begins with
    /// `build`.
    #[must_use]
    pub fn begins_with(&self, parts: &str) -> bool {
        let text = self.to_string();
        let rest = text.strip_prefix(parts);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }

    fn known(text: &str) -> Option<Self> {
        if let Some((kind, _)) = PLAIN.iter().find(|(_, plain)| *plain == text) {
            return Some(kind.clone());
        }
        if let Some(kind) = text.strip_prefix(FAILED) {
            return kind.parse().map(Self::AttemptFailed).ok();
        }
        if let Some(status) = text.strip_prefix(BUILD) {
            return status.parse().map(Self::Build).ok();
        }
        let status = text.strip_prefix(ITERATION)?;
        status.parse().map(Self::Iteration).ok()
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Build(status) => write!(f, "{BUILD}{status}"),
            Self::AttemptFailed(kind) => write!(f, "{FAILED}{kind}"),
            Self::Iteration(status) => write!(f, "{ITERATION}{status}"),
            Self::Unknown(text) => f.write_str(text),
            plain => {
                let text = PLAIN.iter().find(|(kind, _)| kind == plain);
                f.write_str(text.map_or("unknown", |(_, text)| text))
            }
        }
    }
}

impl From<&str> for EventKind {
    fn from(text: &str) -> Self {
        Self::known(text).unwrap_or_else(|| Self::Unknown(text.into()))
    }
}

impl FromStr for EventKind {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(text.into())
    }
}

impl From<String> for EventKind {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

impl From<EventKind> for String {
    fn from(kind: EventKind) -> Self {
        kind.to_string()
    }
}

sqlx_text!(EventKind);
crate::schema::schema!(
    EventKind,
    crate::schema::text(
        &[
            "The kind of an event: `build.` with a status, `attempt.succeeded`, `attempt.lost`, `attempt.failed.` with a",
            "kind of failure, `iteration.` with a status or `planned`, `superseded`, `refused` or `current`,",
            "`namespace.cancelled`, `namespace.resumed` or `namespace.prioritized`. Later versions may add kinds.",
        ],
        "^[a-z]+([._-][a-z]+)*$",
        "build.built",
    )
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_every_event_kind() {
        let plain = PLAIN.iter().map(|(kind, _)| kind.clone());
        let builds = BuildStatus::ALL.iter().copied().map(EventKind::Build);
        let failures = FailureKind::ALL
            .iter()
            .copied()
            .map(EventKind::AttemptFailed);
        let iterations = IterationStatus::ALL
            .iter()
            .copied()
            .map(EventKind::Iteration);
        for kind in plain.chain(builds).chain(failures).chain(iterations) {
            assert_eq!(EventKind::from(kind.to_string()), kind);
        }
        let texts = [
            (EventKind::Build(BuildStatus::Built), "build.built"),
            (
                EventKind::AttemptFailed(FailureKind::Timeout),
                "attempt.failed.timeout",
            ),
            (
                EventKind::Iteration(IterationStatus::Done),
                "iteration.done",
            ),
            (EventKind::IterationPlanned, "iteration.planned"),
        ];
        for (kind, text) in texts {
            assert_eq!(kind.to_string(), text);
        }
    }

    #[test]
    fn keeps_unknown_event_kinds() {
        for text in [
            "build.frozen",
            "iteration.waiting",
            "attempt.failed.",
            "gate",
        ] {
            let json = format!("\"{text}\"");
            let kind: EventKind = serde_json::from_str(&json).unwrap();
            assert_eq!(kind, EventKind::Unknown(text.into()));
            assert_eq!(serde_json::to_string(&kind).unwrap(), json);
            assert_eq!(kind.is_about_iteration(), text.starts_with("iteration."));
        }
    }
}
