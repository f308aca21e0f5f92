//! Server-sent events: every recorded change of a namespace, or of all of them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Architecture, AttemptId, BuildId, EventId, EventKind, NamespaceName, Pkgbase};

/// A recorded change. Its number is the `Last-Event-ID` to continue from.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Event {
    /// Its number; later events have higher ones.
    pub id: EventId,
    /// The namespace.
    pub namespace: NamespaceName,
    /// What changed: `iteration.planned`, `iteration.done`, `build.ready`, `build.built` …
    pub kind: EventKind,
    /// The iteration, if the event is about one.
    pub iteration: Option<u32>,
    /// The build, if the event is about one.
    pub build: Option<BuildId>,
    /// That build's pkgbase.
    pub pkgbase: Option<Pkgbase>,
    /// That build's architecture.
    pub architecture: Option<Architecture>,
    /// The attempt, if the event is about one.
    pub attempt: Option<AttemptId>,
    /// The name of the token that the change was requested with; absent for what the server and builders did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// Details for humans.
    pub message: Option<String>,
    /// For a failure: what to do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// When it was recorded.
    pub at: Timestamp,
}
