//! Which ready build goes where: to a worker that waits, or to a GitLab. Nothing polls for builds: a transition says
//! that one became ready.

pub(crate) mod choose;
pub(crate) mod pair;
pub(crate) mod pipelines;
