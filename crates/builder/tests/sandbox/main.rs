//! Real builds in the real sandbox. They need root and the tools; elsewhere they print that they
//! are skipped.

// Clippy's exemption for tests covers test functions only, not their helpers.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used
)]

mod buildinfo;
mod building;
mod confinement;
mod credentials;
mod disk;
mod environment;
mod escaping;
mod faults;
mod fetching;
mod filter;
mod hostile;
mod lfs;
mod limits;
mod login;
mod network;
mod owners;
mod packages;
mod prepare;
mod refusals;
mod releases;
mod serving;
mod shell;
mod signatures;
mod srcinfo;
mod support;
mod test_network;
mod vcs;
