//! Whole processes together: the real server, workers and CLI, real git repositories, and pacman,
//! which verifies the results. `just test` compiles the programs first.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "panics fail the test with their message; skipped tests say so"
)]

mod addresses;
mod backups;
mod cases;
mod clock;
mod contract;
mod crashes;
mod cycle;
mod doctor;
mod errors;
mod fixing;
mod floods;
mod following;
mod full_disk;
mod gitlab;
mod help;
mod hostile;
mod kills;
mod messages;
mod metrics;
mod outputs;
mod packages;
mod path;
mod pipeline_kills;
mod pipelines;
mod planning;
mod provenance;
mod proxies;
mod releases;
mod reports;
mod runner_deaths;
mod runner_jobs;
mod sandboxes;
mod service_manager;
mod start_errors;
mod stories;
mod teamwork;
mod traces;
mod units;
