//! The stand-in from the view of its clients: over real HTTP, and with the real git.

// The exemptions for tests in clippy.toml do not cover functions shared by tests.
#![allow(clippy::unwrap_used)]

#[path = "fake/faults.rs"]
mod faults;
#[path = "fake/git.rs"]
mod git;
#[path = "fake/graphql.rs"]
mod graphql;
#[path = "fake/inspection.rs"]
mod inspection;
#[path = "fake/oidc.rs"]
mod oidc;
#[path = "fake/pages.rs"]
mod pages;
#[path = "fake/pipelines.rs"]
mod pipelines;
#[path = "fake/rest.rs"]
mod rest;
#[path = "fake/runner_api.rs"]
mod runner_api;
#[path = "fake/settings.rs"]
mod settings;
#[path = "fake/statuses.rs"]
mod statuses;
#[path = "fake/support.rs"]
mod support;
#[path = "fake/webhooks.rs"]
mod webhooks;
