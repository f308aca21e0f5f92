//! `/activity`: what people did, and how rebuilds ended.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{ActivityKind, NamespaceName, WorkerName};

/// An action of a person, or an end of a rebuild. It outlives its namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Activity {
    /// Its number; later ones are higher.
    #[cfg_attr(feature = "openapi", schema(minimum = 1))]
    pub id: i64,
    /// What happened.
    pub kind: ActivityKind,
    /// The name of the token that it was requested with; absent for what the server did by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// The namespace, which may have been deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<NamespaceName>,
    /// The iteration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iteration: Option<u32>,
    /// The worker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<WorkerName>,
    /// Details, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// When it happened.
    pub at: Timestamp,
}
