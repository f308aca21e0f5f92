//! The commands `backup` and `restore`.

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

use buildbtw_server::cli::{BackupArgs, RestoreArgs};
use buildbtw_server::maintenance::backup::restore::{self, Source};
use buildbtw_server::maintenance::backup::{self, Summary};
use buildbtw_server::shutdown;
use tokio_util::sync::CancellationToken;

/// Exit code of `backup`, `restore` and `check` if problems were found and not repaired.
pub(crate) const EXIT_FINDINGS: u8 = 2;
/// The name of standard output and standard input.
const STANDARD: &str = "-";

pub(crate) async fn backup(args: &BackupArgs) -> anyhow::Result<ExitCode> {
    let (data, target) = (&args.data.data_dir, &args.target);
    let stop = CancellationToken::new();
    shutdown::on_signals(stop.clone())?;
    let summary = if target == Path::new(STANDARD) {
        let output = std::io::stdout();
        anyhow::ensure!(!output.is_terminal(), backup::written_to_terminal());
        let summary = backup::backup_to(data, output, &stop).await?;
        let Summary { totals, .. } = &summary;
        // The output is the archive.
        tracing::info!(
            files = totals.files,
            bytes = totals.bytes,
            "the backup is complete"
        );
        summary
    } else {
        let summary = backup::backup(data, target, &stop).await?;
        let Summary { totals, .. } = &summary;
        print(format_args!(
            "{}: {} files, {} bytes",
            target.display(),
            totals.files,
            totals.bytes
        ))?;
        summary
    };
    for path in &summary.lost {
        tracing::warn!(
            path = %path.display(),
            "a package is missing in the data folder and in the backup; `check` shows its build"
        );
    }
    Ok(match summary.lost.as_slice() {
        [] => ExitCode::SUCCESS,
        _ => ExitCode::from(EXIT_FINDINGS),
    })
}

pub(crate) async fn restore(args: &RestoreArgs) -> anyhow::Result<ExitCode> {
    let source = if args.source == Path::new(STANDARD) {
        let input = std::io::stdin();
        anyhow::ensure!(!input.is_terminal(), backup::read_from_terminal());
        Source::Archive {
            input: Box::new(input),
            path: None,
        }
    } else {
        Source::open(&args.source)?
    };
    let data = &args.data.data_dir;
    let restored = restore::restore(data, source).await?;
    print(format_args!(
        "{}: {} files, {} bytes, as of {:.0}",
        data.display(),
        restored.totals.files,
        restored.totals.bytes,
        restored.created_at
    ))?;
    for finding in &restored.findings {
        print(format_args!("{finding}"))?;
    }
    match restored.findings.len() {
        0 => print(format_args!("no problems found"))?,
        found => {
            print(format_args!(
                "problems found: {found}; `buildbtw-server check --repair` repairs what can be \
                 repaired"
            ))?;
            return Ok(ExitCode::from(EXIT_FINDINGS));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn print(line: std::fmt::Arguments<'_>) -> std::io::Result<()> {
    writeln!(std::io::stdout(), "{line}")
}
