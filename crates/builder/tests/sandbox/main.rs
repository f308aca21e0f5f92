//! Real builds in the real sandbox. They need root and the tools; elsewhere they say so and pass.

// Clippy's leave for tests reaches only functions that are tests themselves.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used
)]

mod building;
mod confinement;
mod disk;
mod escaping;
mod faults;
mod filter;
mod hostile;
mod limits;
mod owners;
mod packages;
mod srcinfo;
mod support;
