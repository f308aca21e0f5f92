//! The client as people and scripts run it: the real program, with its output in a pipe, against a
//! server that breaks connections.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::result_large_err,
    reason = "helpers of tests fail like tests, and respond like servers"
)]

mod commands;
mod completing;
mod contract;
mod errors;
mod estimates;
mod fake;
mod following;
mod json;
mod notes;
mod open;
mod people;
mod program;
mod reproducing;
mod scaling;
mod schema;
mod snapshots;
mod sources;
mod status;
mod terminal;
mod workers;
