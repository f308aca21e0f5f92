//! The contract with GitLab Runner: its variables, the job, stages and exit codes.

mod environment;
mod job;
mod stage;

pub(crate) use environment::Environment;
pub(crate) use job::{Job, JobId};
pub(crate) use stage::Stage;
