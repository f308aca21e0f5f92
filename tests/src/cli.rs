//! The command line client.

use std::process::{Command, Output};

use crate::program::program;
use crate::server::Server;

/// Runs the CLI against a server.
pub fn cli(server: &Server, args: &[&str]) -> Output {
    cli_command(server, args).output().unwrap()
}

/// Returns the CLI with arguments, for a server.
pub fn cli_command(server: &Server, args: &[&str]) -> Command {
    let mut command = Command::new(program("buildbtw"));
    command
        .args(["--server", &server.url()])
        .args(args)
        .env("BUILDBTW_TOKEN", server.admin_token())
        .env("XDG_CONFIG_HOME", server.data())
        .env("TZ", "UTC");
    command
}
