//! Options of every command.

use std::path::PathBuf;

use clap::Args;

use crate::chosen::Wanted;
use crate::output::ColorChoice;

/// Options of every command.
#[derive(Args, Debug, Default)]
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
    /// Print these fields as JSON; without a value, list the fields
    ///
    /// Names separated by commas, `iteration.status` for a field of a field, or `all`. notes/cli.md
    /// describes the JSON of every command.
    #[arg(
        long,
        global = true,
        value_name = "FIELDS",
        num_args = 0..=1,
        default_missing_value = "",
        help_heading = "Global options"
    )]
    pub json: Option<String>,
    /// Filter the JSON with an expression of jq(1)
    ///
    /// Texts are printed raw, other values as JSON on one line. Without --json, the filter gets all
    /// fields.
    #[arg(
        long,
        global = true,
        value_name = "FILTER",
        help_heading = "Global options"
    )]
    pub jq: Option<String>,
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

impl Global {
    /// Returns what the options say about the server.
    pub(crate) fn wanted(&self) -> Wanted {
        Wanted {
            server: self.server.clone(),
            token: self.token.clone(),
            ca: self.ca.clone(),
        }
    }
}
