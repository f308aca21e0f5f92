//! For developers: compares the used part of GitLab's GraphQL schema with the schema of a running GitLab instance.
//! `just update-graphql-schema` runs it.

mod drift;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use buildbtw_gitlab::{Gitlab, GitlabArgs};
use clap::Parser;

/// Update the schema of the queries from a running GitLab instance
#[derive(Parser)]
struct Cli {
    /// Folder with schema.graphql and introspection.graphql
    #[arg(long, default_value = "graphql", value_name = "DIR")]
    folder: PathBuf,
    #[command(flatten)]
    gitlab: GitlabArgs,
    /// Print the differences without changing the schema
    #[arg(long)]
    dry_run: bool,
}

fn main() -> anyhow::Result<ExitCode> {
    let Cli {
        folder,
        gitlab,
        dry_run,
    } = Cli::parse();
    let settings = gitlab.settings()?.context(
        "no GitLab is configured; set --gitlab-url, --gitlab-group and --gitlab-token-file, or their variables",
    )?;
    let query = fs_err::read_to_string(folder.join("introspection.graphql"))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let response = runtime.block_on(Gitlab::new(settings)?.introspect(&query))?;
    let theirs = drift::GitlabSchema::read(response)?;
    let path = folder.join("schema.graphql");
    let ours = fs_err::read_to_string(&path)?;
    let drift = drift::compare(&ours, &theirs)?;
    for line in &drift.missing {
        say(&format!("missing: {line}"))?;
    }
    for line in &drift.changed {
        say(line)?;
    }
    say(&format!(
        "{} changed, {} missing",
        drift.changed.len(),
        drift.missing.len()
    ))?;
    if !dry_run && drift.text != ours {
        fs_err::write(&path, &drift.text)?;
        say(&format!(
            "updated '{}'; run `just check-graphql` and the tests",
            path.display()
        ))?;
    }
    // Missing types and fields have to be removed from the schema and the queries by hand.
    Ok(if drift.missing.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn say(line: &str) -> std::io::Result<()> {
    writeln!(std::io::stdout(), "{line}")
}
