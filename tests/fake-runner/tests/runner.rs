//! The runner from the view of its executor and GitLab: with the stand-in for GitLab, and a shell script as executor.

// The exemptions for tests in clippy.toml do not cover functions shared by tests.
#![allow(clippy::unwrap_used)]

#[path = "runner/ends.rs"]
mod ends;
#[path = "runner/log.rs"]
mod log;
#[path = "runner/stages.rs"]
mod stages;
#[path = "runner/support.rs"]
mod support;
