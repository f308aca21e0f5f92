//! For developers: checks the queries against the schema they are written for, and that schema
//! against a running GitLab. `just check-graphql` and `just update-graphql-schema` run it.

mod drift;
mod queries;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use buildbtw_server::gitlab::{Gitlab, GitlabArgs};
use clap::{Parser, Subcommand};

/// Checks the GraphQL queries and the schema they are written for.
#[derive(Parser)]
struct Cli {
    /// The folder with schema.graphql and queries/
    #[arg(long, default_value = "graphql", value_name = "DIR")]
    folder: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Validate every query against the schema
    Check,
    /// Compare the schema with the one of a GitLab, and take over what changed there
    Update {
        #[command(flatten)]
        gitlab: Box<GitlabArgs>,
        /// Only tell what differs
        #[arg(long)]
        dry_run: bool,
    },
}

fn main() -> anyhow::Result<ExitCode> {
    let cli = Cli::parse();
    let is_good = match &cli.command {
        Command::Check => check(&cli.folder)?,
        Command::Update { gitlab, dry_run } => update(&cli.folder, gitlab, *dry_run)?,
    };
    Ok(if is_good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn check(folder: &Path) -> anyhow::Result<bool> {
    let schema = fs_err::read_to_string(folder.join("schema.graphql"))?;
    let mut paths = Vec::new();
    for entry in fs_err::read_dir(folder.join("queries"))? {
        paths.push(entry?.path());
    }
    paths.sort();
    anyhow::ensure!(!paths.is_empty(), "there are no queries");
    let mut errors = Vec::new();
    for path in &paths {
        let text = fs_err::read_to_string(path)?;
        errors.extend(queries::check(&schema, &text, path)?);
    }
    for error in &errors {
        say(error)?;
    }
    say(&format!("{} queries, {} errors", paths.len(), errors.len()))?;
    Ok(errors.is_empty())
}

fn update(folder: &Path, args: &GitlabArgs, dry_run: bool) -> anyhow::Result<bool> {
    let settings = args.settings()?.context(
        "which GitLab? Set --gitlab-url, --gitlab-group and --gitlab-token-file, or their variables",
    )?;
    let query = fs_err::read_to_string(folder.join("introspection.graphql"))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let answer = runtime.block_on(Gitlab::new(settings)?.introspect(&query))?;
    let theirs = drift::Theirs::read(answer)?;
    let path = folder.join("schema.graphql");
    let ours = fs_err::read_to_string(&path)?;
    let drift = drift::compare(&ours, &theirs)?;
    for line in drift.missing.iter().chain(&drift.changed) {
        say(line)?;
    }
    say(&format!(
        "{} changed, {} not there",
        drift.changed.len(),
        drift.missing.len()
    ))?;
    if !dry_run && drift.text != ours {
        fs_err::write(&path, &drift.text)?;
        say(&format!(
            "wrote {}; run check-graphql and the tests",
            path.display()
        ))?;
    }
    // What is not there has to be taken out of schema and queries by hand.
    Ok(drift.missing.is_empty())
}

fn say(line: &str) -> std::io::Result<()> {
    writeln!(std::io::stdout(), "{line}")
}
