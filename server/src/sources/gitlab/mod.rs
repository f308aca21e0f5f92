//! The GitLab source: every project of a group, including subgroups. The index is read through GraphQL, without
//! clones.

mod deliveries;
mod group;
mod paths;
mod poll;
mod project;
mod resync;
mod wanted;

use std::time::Duration;

use crate::outage::Pauses;

pub(crate) use group::GitlabGroup;
pub(crate) use poll::{GitlabContact, Window};
pub(crate) use resync::{Resync, ResyncStep, progress};

/// The pauses after failures of the group. The longest one bounds how late the end of an outage is noticed.
pub(crate) const PAUSES: Pauses = Pauses::growing(Duration::from_secs(2), Duration::from_secs(60));
