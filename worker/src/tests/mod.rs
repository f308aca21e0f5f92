//! Stories of a worker and a server that misbehaves.

#![allow(
    clippy::result_large_err,
    reason = "the server's refusals are whole answers"
)]

mod fake_server;
mod logs;
mod stories;
mod support;
