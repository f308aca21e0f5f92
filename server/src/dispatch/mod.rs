//! Dispatch of ready builds to waiting claims of workers, or to GitLab. Nothing polls for builds: a transition
//! announces that one became ready.

mod choose;
pub(crate) mod claims;
mod pair;
pub(crate) mod pipelines;
mod shares;
