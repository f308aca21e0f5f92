//! `/attempts/{id}/inputs`: what repeats an attempt on another machine.

use serde::{Deserialize, Serialize};

use super::attempts::ClaimedBuild;
use crate::AttemptStatus;

/// What an attempt builds from, as its builder was told: the commit, the release and the repositories of that attempt.
/// Settings of the server (packager, tool, base repositories, the cap of the network) are the current ones.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AttemptInputs {
    /// 1, 2, 3 … within its build.
    pub number: u32,
    /// Its status.
    pub status: AttemptStatus,
    /// The build. URLs lack users and passwords.
    pub build: ClaimedBuild,
}
