//! The planner from outside: small handmade distributions, random ones compared with a slow
//! reference, and real ones.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "everything here is a test"
)]

mod budgets;
mod corpora;
mod environments;
mod generate;
mod golden;
mod properties;
mod reference;
mod srcinfo;
mod support;
mod surroundings;
mod versions;
