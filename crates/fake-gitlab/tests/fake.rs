//! The stand-in as its clients see it: over real HTTP, and with the real git.

// What clippy.toml allows in tests does not reach the functions that tests share.
#![allow(clippy::unwrap_used)]

#[path = "fake/faults.rs"]
mod faults;
#[path = "fake/git.rs"]
mod git;
#[path = "fake/graphql.rs"]
mod graphql;
#[path = "fake/rest.rs"]
mod rest;
#[path = "fake/support.rs"]
mod support;
#[path = "fake/webhooks.rs"]
mod webhooks;
