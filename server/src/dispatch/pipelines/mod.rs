//! Builds as GitLab pipelines: the requests for each of them, and what the responses mean. Every request is in
//! the database before it is sent, and the code relies on nothing else.

mod cancel;
pub(crate) mod create;
mod overdue;
pub(crate) mod poll;
mod rate_limiter;
pub(crate) mod ready;
mod rejection;
pub(crate) mod schedule;
mod sort;
