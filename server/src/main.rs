//! The server's program: parses the command line, runs the command, sets the exit code.

mod backup_commands;
mod doctor_command;

use std::io::{IsTerminal as _, Write as _};
use std::net::TcpListener;
use std::process::ExitCode;

use buildbtw_doctor::ShownSetting;
use buildbtw_gitlab::Gitlab;
use buildbtw_model::Explanation;
use buildbtw_server::cli::{
    self, CheckArgs, Cli, Command, GitlabCommand, RunArgs, SetCiConfigArgs,
};
use buildbtw_server::listening;
use buildbtw_server::maintenance::{self, ci_config};
use buildbtw_server::private;
use buildbtw_server::run::Server;
use buildbtw_server::shutdown;
use buildbtw_server::time::Clock;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use backup_commands::EXIT_FINDINGS;

fn main() -> ExitCode {
    let parsed = match cli::parse(std::env::args_os()) {
        Ok(parsed) => parsed,
        Err(failure) => return doctor_command::report_failure(failure),
    };
    let settings = doctor_command::settings(&parsed);
    let cli = parsed.cli;
    private::restrict_new_files();
    let filter = EnvFilter::try_new(&cli.log).unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    let socket = match listening::passed_socket() {
        Ok(socket) => socket,
        Err(error) => {
            report(&error);
            return ExitCode::FAILURE;
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!("cannot start the async runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(run(&cli, settings, socket));
    // Blocking threads are not waited for: reading an archive, for example, can take as long as its author
    // wants, and interrupted work is repeated at the next start.
    runtime.shutdown_background();
    code
}

async fn run(cli: &Cli, settings: Vec<ShownSetting>, socket: Option<TcpListener>) -> ExitCode {
    let result = match &cli.command {
        Command::Run(args) => serve(args, socket).await.map(|()| ExitCode::SUCCESS),
        Command::Backup(args) => backup_commands::backup(args).await,
        Command::Restore(args) => backup_commands::restore(args).await,
        Command::Check(args) => check(args).await,
        Command::Doctor(args) => doctor_command::run(args, settings).await,
        Command::Gitlab(GitlabCommand::SetCiConfig(args)) => set_ci_config(args).await,
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            report(&error);
            ExitCode::FAILURE
        }
    }
}

/// Logs why the program ends, and prints what to do next as a line of its own.
fn report(error: &anyhow::Error) {
    let Explanation { message, hint } = Explanation::of_error(error.as_ref());
    tracing::error!("{message}");
    if let Some(hint) = hint {
        // The exit code still reports the failure when this cannot be written.
        let _ = writeln!(std::io::stderr(), "hint: {hint}");
    }
}

async fn serve(args: &RunArgs, socket: Option<TcpListener>) -> anyhow::Result<()> {
    let token = CancellationToken::new();
    shutdown::on_signals(token.clone())?;
    // From here on a hangup does not end the process; one during the start takes effect after it.
    let hangups = signal(SignalKind::hangup())?;
    let server = Server::start_on(socket, args, Clock::default(), token).await?;
    server.reload_at(hangups);
    server.serve().await
}

async fn check(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let options = maintenance::check::Options {
        digests: args.digests,
        repair: args.repair,
    };
    let findings = maintenance::check::check(&args.data.data_dir, options).await?;
    let mut left = 0;
    for finding in &findings {
        match finding.repair().filter(|_| args.repair) {
            Some(repair) => print(format_args!("{finding}: {repair}"))?,
            None => {
                left += 1;
                print(format_args!("{finding}"))?;
            }
        }
    }
    match (findings.len(), left) {
        (0, _) => print(format_args!("no problems found"))?,
        (_, 0) => return Ok(ExitCode::SUCCESS),
        (found, _) if args.repair => print(format_args!(
            "problems found: {found}, not repaired: {left}"
        ))?,
        (found, _) => print(format_args!(
            "problems found: {found}; run with --repair to repair them"
        ))?,
    }
    Ok(if left == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(EXIT_FINDINGS)
    })
}

async fn set_ci_config(args: &SetCiConfigArgs) -> anyhow::Result<ExitCode> {
    let Some(mut settings) = args.gitlab.settings()? else {
        anyhow::bail!(Explanation::with_hint(
            "no GitLab is configured",
            "set --gitlab-url, --gitlab-group and --gitlab-token-file",
        ));
    };
    settings.writes = args.apply;
    let gitlab = Gitlab::new(settings)?;
    let access = gitlab.check_access().await;
    access.map_err(|error| error.explanation())?;
    let options = ci_config::Options {
        template: args.template.clone(),
        apply: args.apply,
    };
    let summary = ci_config::set_ci_config(&gitlab, &options, |step| {
        // A closed pipe does not stop a started run.
        let _ = match step {
            ci_config::Step::WouldChange(project) | ci_config::Step::Changed(project) => {
                print(format_args!(
                    "{}: {} -> {}",
                    project.full_path, project.ci_config_path, args.template
                ))
            }
            ci_config::Step::Rejected(project, error) => print(format_args!(
                "{}: rejected: {}",
                project.full_path, error.kind
            )),
        };
    })
    .await?;
    let (changed, unchanged) = (summary.changed, summary.unchanged);
    if args.apply {
        print(format_args!("{changed} changed, {unchanged} unchanged"))?;
    } else {
        print(format_args!(
            "{changed} would change, {unchanged} unchanged; run with --apply to change them"
        ))?;
    }
    if summary.rejected.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    print(format_args!(
        "{} rejected by GitLab; the token needs the role Maintainer in these projects",
        summary.rejected.len()
    ))?;
    Ok(ExitCode::FAILURE)
}

fn print(line: std::fmt::Arguments<'_>) -> std::io::Result<()> {
    writeln!(std::io::stdout(), "{line}")
}
