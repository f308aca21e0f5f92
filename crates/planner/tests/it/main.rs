//! Tests of the planner's public API: with small handmade distributions, with random ones against a slow reference
//! implementation, and with real ones.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "everything here is a test"
)]

mod answers;
mod budgets;
mod corpora;
mod environments;
mod estimates;
mod generate;
mod golden;
mod properties;
mod reference;
mod srcinfo;
mod support;
mod surroundings;
mod versions;
