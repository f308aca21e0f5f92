//! Commands about the server: its sources, its tokens, and logging in.

use std::path::PathBuf;

use buildbtw_model::{NamespaceName, TokenId, TokenScope, WorkerName};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use clap_complete::engine::ArgValueCompleter;

use super::rows::LimitArgs;
use crate::completion;
use crate::output::time::parse_seconds;

/// The arguments of `activity`.
#[derive(Args, Debug)]
pub struct ActivityArgs {
    /// List what was done with tokens of this name only
    #[arg(
        long,
        value_name = "NAME",
        conflicts_with = "mine",
        add = ArgValueCompleter::new(completion::people)
    )]
    pub by: Option<String>,
    /// List what was done with tokens of your name only
    #[arg(long)]
    pub mine: bool,
    /// List what concerns one namespace only, also a deleted one
    #[arg(
        long,
        value_name = "NAME",
        add = ArgValueCompleter::new(completion::namespaces)
    )]
    pub namespace: Option<NamespaceName>,
    /// How many entries.
    #[command(flatten)]
    pub limit: LimitArgs,
}

/// The arguments of `sources`.
#[derive(Args, Debug)]
pub struct SourcesArgs {
    /// Part of the path or pkgbase of the repositories
    pub search: Option<String>,
    /// List broken repositories only
    #[arg(long)]
    pub broken: bool,
    /// How many repositories.
    #[command(flatten)]
    pub limit: LimitArgs,
}

/// The arguments of `workers`.
#[derive(Args, Debug)]
pub struct WorkersArgs {
    /// Name of a worker to show with its machine and builds
    ///
    /// [default: lists all workers]
    #[arg(add = ArgValueCompleter::new(completion::workers))]
    pub name: Option<WorkerName>,
    /// How many workers.
    #[command(flatten)]
    pub limit: LimitArgs,
}

/// Subcommands of `worker`.
#[derive(Debug, Subcommand)]
pub enum WorkerCommand {
    /// Let a worker finish its builds and get no new ones
    ///
    /// It stays drained until it is resumed, also when it or the server restarts.
    Drain {
        /// Name of the worker
        #[arg(add = ArgValueCompleter::new(completion::workers))]
        name: WorkerName,
        /// Reason, which is recorded
        #[arg(long, short = 'm', value_name = "TEXT")]
        reason: Option<String>,
    },
    /// Let a drained worker have builds again
    Resume {
        /// Name of the worker
        #[arg(add = ArgValueCompleter::new(completion::workers))]
        name: WorkerName,
    },
}

/// Subcommands of `token`.
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Create a token and print it once
    Create(TokenCreateArgs),
    /// List all tokens
    List(TokenListArgs),
    /// Revoke a token
    Revoke {
        /// Number of the token in the list
        #[arg(add = ArgValueCompleter::new(completion::tokens))]
        id: TokenId,
        /// Revoke it even if it is the last valid admin token
        ///
        /// The server creates a new admin token at its next start.
        #[arg(long)]
        force: bool,
    },
}

/// The arguments of `token create`.
#[derive(Args, Debug)]
pub struct TokenCreateArgs {
    /// Scope of the token
    #[arg(long, value_parser = creatable_scope())]
    pub scope: TokenScope,
    /// Label of the token
    #[arg(long)]
    pub name: String,
    /// Time until the token expires, for example 12h, 30d or 8w
    ///
    /// [default: never]
    #[arg(long, value_name = "DURATION", value_parser = parse_seconds)]
    pub expires: Option<u32>,
    /// Write the token to a private file (mode 0600)
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// The arguments of `token list`.
#[derive(Args, Clone, Copy, Debug)]
pub struct TokenListArgs {
    /// How many tokens.
    #[command(flatten)]
    pub limit: LimitArgs,
}

/// Returns the parser of the scopes that users can create. Only the server creates tokens of attempts.
fn creatable_scope() -> impl TypedValueParser<Value = TokenScope> {
    let scopes = [TokenScope::Client, TokenScope::Worker, TokenScope::Admin];
    PossibleValuesParser::new(scopes.map(TokenScope::as_str))
        .try_map(|text| text.parse::<TokenScope>())
}

/// The arguments of `login`.
#[derive(Args, Debug)]
pub struct LoginArgs {
    /// File with the token
    ///
    /// [default: asks for it, or reads standard input]
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
}
