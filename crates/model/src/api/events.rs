//! Server-sent events: every change of a namespace, as it is recorded.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Architecture, AttemptId, BuildId, EventKind, Pkgbase};

/// One recorded change. Its number is the `Last-Event-ID` to go on from.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Event {
    /// Its number; later events have higher ones.
    pub id: i64,
    /// What changed: `iteration.planned`, `iteration.done`, `build.ready`, `build.built` …
    pub kind: EventKind,
    /// The iteration, when it is about one.
    pub iteration: Option<u32>,
    /// The build, when it is about one.
    pub build: Option<BuildId>,
    /// That build's pkgbase.
    pub pkgbase: Option<Pkgbase>,
    /// That build's architecture.
    pub architecture: Option<Architecture>,
    /// The attempt, when it is about one.
    pub attempt: Option<AttemptId>,
    /// More, for people.
    pub message: Option<String>,
    /// When it was recorded.
    pub at: Timestamp,
}
