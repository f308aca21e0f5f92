//! Runs the program as GitLab Runner does, stage by stage, against a stand-in for the server.
//!
//! As root (as in CI), scripts run as another user; without root, as the user of the tests.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a failure here is a failed test, and the panic its message"
)]

mod building;
mod confinement;
mod contract;
mod environment;
mod failures;
mod hostile;
mod kills;
mod lost_runner;
mod permissions;
mod sandbox;
mod scripts;
mod stopping;
mod sudo;
mod support;
