//! The command line client.

use std::process::{Command, Output};

use crate::program::program;
use crate::server::Server;

/// Runs the CLI against a server.
pub fn cli(server: &Server, args: &[&str]) -> Output {
    Command::new(program("buildbtw"))
        .args(["--server", &server.url()])
        .args(args)
        .env("BUILDBTW_TOKEN", server.admin_token())
        .env("XDG_CONFIG_HOME", server.data())
        .env("TZ", "UTC")
        .output()
        .unwrap()
}
