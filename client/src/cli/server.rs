//! Commands about the server: its sources, its tokens, and logging in.

use std::path::PathBuf;

use buildbtw_model::{TokenId, TokenScope};
use clap::{Args, Subcommand};

use crate::output::time::parse_seconds;

/// Lists sources.
#[derive(Args, Debug)]
pub struct Sources {
    /// Only those that cannot be used.
    #[arg(long)]
    pub broken: bool,
}

/// What can be done with tokens.
#[derive(Debug, Subcommand)]
pub enum Token {
    /// Make a token and print it, this once.
    Create(TokenCreate),
    /// List all tokens.
    List,
    /// Revoke a token, at once.
    Revoke {
        /// Its number in the list.
        id: TokenId,
        /// Revoke it even if it is the last valid admin token. The server creates another one at its next
        /// start.
        #[arg(long)]
        force: bool,
    },
}

/// Makes a token.
#[derive(Args, Debug)]
pub struct TokenCreate {
    /// What it allows: client, worker or admin.
    #[arg(long)]
    pub scope: TokenScope,
    /// What it is for, for people.
    #[arg(long)]
    pub name: String,
    /// When it expires, for example 12h, 30d or 8w [default: never].
    #[arg(long, value_name = "DURATION", value_parser = parse_seconds)]
    pub expires: Option<u32>,
    /// Write it to a file that only you can read, instead of printing it.
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Logs in.
#[derive(Args, Debug)]
pub struct Login {
    /// Read the token from a file [default: asks for it, or reads standard input].
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
}
