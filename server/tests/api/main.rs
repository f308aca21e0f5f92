//! The server from outside: tests of its real router over HTTP, each with its own database and real
//! git repositories.

// Clippy's exemption for tests covers test functions only, not their helpers.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "everything here is a test"
)]

mod addresses;
mod anonymous;
mod auth;
mod backups;
mod base_repositories;
mod bootstrap;
mod cases;
mod connections;
mod control;
mod crash;
mod disk_reserve;
mod editing;
mod estimates;
mod events;
mod fairness;
mod following;
mod gitlab;
mod inputs;
mod lists;
mod logs;
mod maintenance;
mod metrics;
mod migrations;
mod namespaces;
mod network_policy;
mod object_limits;
mod openapi;
mod outages;
mod outcomes;
mod pages;
mod people;
mod planning;
mod previews;
mod priorities;
mod provenance;
mod refusals;
mod repositories;
mod repository_addresses;
mod requests;
mod retention;
mod reuse;
mod scheduling;
mod schemathesis;
mod slow_peers;
mod source_requests;
mod sources;
mod startup;
mod support;
mod tokens;
mod traces;
mod upload_bombs;
mod uploads;
mod versions;
mod workers;
