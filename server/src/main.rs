//! The server's program: parses the command line, runs the command, sets the exit code.

mod backup_commands;
mod doctor_command;

use std::io::Write as _;
use std::process::ExitCode;

use buildbtw_doctor::{ShownSetting, command};
use buildbtw_gitlab::Gitlab;
use buildbtw_model::Explanation;
use buildbtw_server::cli::{
    self, CheckArgs, Cli, Command, GitlabCommand, RunArgs, SetCiConfigArgs,
};
use buildbtw_server::doctor::{PROGRAM, VERSION};
use buildbtw_server::listening;
use buildbtw_server::maintenance::{self, ci_config};
use buildbtw_server::private;
use buildbtw_server::run::Server;
use buildbtw_server::shutdown;
use buildbtw_server::startup::StartupResources;
use buildbtw_server::time::Clock;
use buildbtw_telemetry::console::Console;
use buildbtw_telemetry::logging::{LogFormat, Logging};
use buildbtw_telemetry::otlp::{OtlpSettings, Traces};
use clap::CommandFactory as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use backup_commands::EXIT_FINDINGS;

fn main() -> ExitCode {
    let parsed = match cli::parse(std::env::args_os()) {
        Ok(parsed) => parsed,
        Err(failure) => {
            return command::report_failure(Cli::command(), PROGRAM, VERSION, failure);
        }
    };
    let settings = command::settings(&parsed);
    let cli = parsed.cli;
    private::restrict_new_files();
    let refusal = match start_log(&cli) {
        Ok(refusal) => refusal,
        Err(error) => {
            // The exit code still reports the failure when this cannot be written.
            let _ = writeln!(std::io::stderr(), "error: {error}");
            return ExitCode::FAILURE;
        }
    };
    let socket = match refusal {
        Some(refusal) => Err(refusal.into()),
        None => listening::passed_socket(),
    };
    let socket = match socket {
        Ok(socket) => socket,
        Err(error) => {
            report(&cli, &error);
            return ExitCode::FAILURE;
        }
    };
    let resources = StartupResources {
        socket,
        traces: None,
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
    let code = runtime.block_on(run(&cli, settings, resources));
    // Blocking threads are not waited for: reading an archive, for example, can take as long as its author
    // wants, and interrupted work is repeated at the next start.
    runtime.shutdown_background();
    code
}

/// Starts the log, and the console that observes tasks. Returns why the console cannot start.
fn start_log(cli: &Cli) -> Result<Option<Explanation>, Explanation> {
    let address = match &cli.command {
        Command::Run(args) => args.telemetry.tokio_console,
        _ => None,
    };
    let (console, refusal) = match address.map(Console::listen).transpose() {
        Ok(console) => (console, None),
        Err(refusal) => (None, Some(refusal)),
    };
    let logging = Logging {
        filter: &cli.log,
        format: cli.log_format,
        console,
    };
    logging.start().map(|()| refusal)
}

async fn run(cli: &Cli, settings: Vec<ShownSetting>, resources: StartupResources) -> ExitCode {
    let result = match &cli.command {
        Command::Run(args) => serve(args, resources).await.map(|()| ExitCode::SUCCESS),
        Command::Backup(args) => backup_commands::backup(args).await,
        Command::Restore(args) => backup_commands::restore(args).await,
        Command::Check(args) => check(args).await,
        Command::Doctor(args) => doctor_command::run(args, settings).await,
        Command::Gitlab(GitlabCommand::SetCiConfig(args)) => set_ci_config(args).await,
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            report(cli, &error);
            ExitCode::FAILURE
        }
    }
}

/// Logs why the program ends, and what to do next: a line of its own in the text format.
fn report(cli: &Cli, error: &anyhow::Error) {
    let Explanation { message, hint } = Explanation::of_error(error.as_ref());
    match (cli.log_format, hint) {
        (_, None) => tracing::error!("{message}"),
        (LogFormat::Json, Some(hint)) => tracing::error!(hint, "{message}"),
        (LogFormat::Text, Some(hint)) => {
            tracing::error!("{message}");
            // The exit code still reports the failure when this cannot be written.
            let _ = writeln!(std::io::stderr(), "hint: {hint}");
        }
    }
}

async fn serve(args: &RunArgs, resources: StartupResources) -> anyhow::Result<()> {
    let resources = StartupResources {
        traces: traces(args)?,
        ..resources
    };
    let token = CancellationToken::new();
    shutdown::on_signals(token.clone())?;
    // From here on a hangup does not end the process; one during the start takes effect after it.
    let hangups = signal(SignalKind::hangup())?;
    let server = Server::start_with(resources, args, Clock::default(), token).await?;
    server.reload_at(hangups);
    server.serve().await
}

/// Starts to export traces, if that is enabled.
fn traces(args: &RunArgs) -> anyhow::Result<Option<Traces>> {
    if !args.telemetry.otlp {
        return Ok(None);
    }
    let Some(settings) = OtlpSettings::from_env()? else {
        tracing::warn!("traces are not exported: the OTEL_… variables disable it");
        return Ok(None);
    };
    let (program, version) = (env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
    Ok(Some(Traces::start(&settings, program, version)?))
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
