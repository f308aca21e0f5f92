//! What GitLab Runner tells the program, and what it wants to hear.

mod environment;
mod job;
mod stage;

pub(crate) use environment::Environment;
pub(crate) use job::{Job, JobId};
pub(crate) use stage::Stage;
