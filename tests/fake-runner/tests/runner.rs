//! The runner as its executor and GitLab see it: with the stand-in for GitLab, and a shell script
//! for an executor.

// What clippy.toml allows in tests does not reach the functions that tests share.
#![allow(clippy::unwrap_used)]

#[path = "runner/ends.rs"]
mod ends;
#[path = "runner/log.rs"]
mod log;
#[path = "runner/stages.rs"]
mod stages;
#[path = "runner/support.rs"]
mod support;
