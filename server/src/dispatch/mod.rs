//! Dispatch of ready builds to waiting claims of workers, or to GitLab. Nothing polls for builds: a transition
//! announces that one became ready.

pub(crate) mod choose;
pub(crate) mod pair;
pub(crate) mod pipelines;
