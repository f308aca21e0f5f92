//! The GitLab source: every project of a group, subgroups included. The index is read through
//! GraphQL; nothing is cloned here.

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
pub(crate) use resync::{Resync, ResyncStep};

/// How long the group is left alone after a failure. A GitLab that is back after an hour is noticed within the
/// longest of them.
pub(crate) const PAUSES: Pauses = Pauses::growing(Duration::from_secs(2), Duration::from_secs(60));
