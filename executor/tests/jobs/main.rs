//! Drives the program as GitLab Runner does, stage by stage, against a stand-in for the server.
//!
//! As root (as in CI) scripts run as another user; without, as the tests' own.

mod building;
mod contract;
mod failures;
mod hostile;
mod kills;
mod scripts;
mod stopping;
mod sudo;
mod support;
