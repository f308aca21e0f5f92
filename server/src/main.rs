//! The server's program: parses, wires and waits.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use buildbtw_server::cli::{Cli, Command};
use buildbtw_server::run::Server;
use buildbtw_server::shutdown;
use clap::Parser as _;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = EnvFilter::try_new(&cli.log).unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    let result = match &cli.command {
        Command::Run(args) => {
            let token = CancellationToken::new();
            let run = async {
                shutdown::on_signals(token.clone())?;
                Server::start(args, token).await?.serve().await
            };
            run.await
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
