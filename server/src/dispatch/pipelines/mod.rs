//! Builds as pipelines of a GitLab: what is asked of it for each of them, and what its answers mean. What GitLab is
//! told is in the database before it hears of it, and nothing else is relied on.

mod cancel;
pub(crate) mod create;
mod overdue;
pub(crate) mod pace;
pub(crate) mod poll;
mod refused;
mod sort;
