//! Options of every command.

use std::path::PathBuf;

use clap::Args;

use crate::output::ColorChoice;

/// Options of every command.
#[derive(Args, Debug)]
pub struct Global {
    /// URL of the server
    ///
    /// [default: the server of the last login, else http://127.0.0.1:8080]
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "BUILDBTW_SERVER",
        help_heading = "Global options"
    )]
    pub server: Option<String>,
    /// PEM file of additional certificate authorities
    ///
    /// They verify the server's certificate. [default: the file of the last login to that server]
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "BUILDBTW_CA",
        help_heading = "Global options"
    )]
    pub ca: Option<PathBuf>,
    /// Token to use instead of the one of the last login
    #[arg(
        long,
        global = true,
        env = "BUILDBTW_TOKEN",
        hide_env_values = true,
        help_heading = "Global options"
    )]
    pub token: Option<String>,
    /// Print JSON, as the server sends it
    #[arg(long, global = true, help_heading = "Global options")]
    pub json: bool,
    /// Use of colours
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "WHEN",
        help_heading = "Global options"
    )]
    pub color: ColorChoice,
}
