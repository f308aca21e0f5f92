//! Runs a stand-in for a GitLab server, for the demo and tests with whole processes.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use buildbtw_fake_gitlab::{FakeGitlab, Options};
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

/// A stand-in for a GitLab server
#[derive(Debug, Parser)]
#[command(name = "fake-gitlab", version)]
struct Cli {
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: String,
    /// Folder of git repositories [default: a temporary folder]
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Group of imported and adopted projects
    #[arg(
        long,
        value_name = "PATH",
        default_value = "archlinux/packaging/packages"
    )]
    group: String,
    /// Folder of folders with an .SRCINFO each, to import as projects
    #[arg(long, value_name = "DIR")]
    import: Option<PathBuf>,
    /// Folder of bare git repositories to use as projects
    #[arg(long, value_name = "DIR")]
    adopt: Option<PathBuf>,
    /// File for a new read-write token
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// File for a new read-only token
    #[arg(long, value_name = "FILE")]
    read_only_token_file: Option<PathBuf>,
    /// File for a new administrator's token
    #[arg(long, value_name = "FILE")]
    admin_token_file: Option<PathBuf>,
    /// File for the token of a new runner, which takes jobs of all projects
    #[arg(long, value_name = "FILE")]
    runner_token_file: Option<PathBuf>,
    /// Tag of that runner; may be repeated
    #[arg(long, value_name = "TAG")]
    runner_tag: Vec<String>,
    /// Seconds that a runner's request for a job waits for one
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    long_poll: u64,
    /// CI configuration to serve as build.yml in the project ci/templates
    #[arg(long, value_name = "FILE")]
    ci_template: Option<PathBuf>,
    /// File for the base URL, written when the server listens
    #[arg(long, value_name = "FILE")]
    address_file: Option<PathBuf>,
    /// Seed of ids and tokens [default: random]
    #[arg(long)]
    seed: Option<u64>,
}

#[tokio::main]
async fn main() -> Result<()> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env()
                .unwrap_or_else(|_| "fake_gitlab=info,buildbtw_fake_gitlab=info".into()),
        )
        .init();
    let cli = Cli::parse();
    // Before readiness is announced, so that no signal is missed.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let gitlab = FakeGitlab::start(Options {
        listen: cli.listen,
        root: cli.root,
        seed: cli.seed.unwrap_or_else(rand::random),
    })
    .await?;
    gitlab.create_group(&cli.group)?;
    if let Some(folder) = &cli.import {
        let count = gitlab.import(folder, &cli.group)?;
        tracing::info!(count, "imported");
    }
    if let Some(folder) = &cli.adopt {
        let count = adopt(&gitlab, folder, &cli.group)?;
        tracing::info!(count, "adopted");
    }
    let everything = ["api", "read_repository", "write_repository"];
    if let Some(file) = &cli.token_file {
        write_secret(file, &gitlab.create_token(&everything))?;
    }
    if let Some(file) = &cli.read_only_token_file {
        write_secret(file, &gitlab.create_token(&["read_api", "read_repository"]))?;
    }
    if let Some(file) = &cli.admin_token_file {
        write_secret(file, &gitlab.create_admin_token(&everything))?;
    }
    gitlab.set_long_poll(Duration::from_secs(cli.long_poll));
    if let Some(file) = &cli.runner_token_file {
        let tags: Vec<&str> = cli.runner_tag.iter().map(String::as_str).collect();
        write_secret(file, &gitlab.create_runner(&tags))?;
    }
    if let Some(file) = &cli.ci_template {
        let project = gitlab.create_project("ci/templates")?;
        let text = fs_err::read(file)?;
        let files: [(&str, Option<&[u8]>); 1] = [("build.yml", Some(&text))];
        gitlab.commit(project, "main", &files, "Add the template")?;
    }
    if let Some(file) = &cli.address_file {
        write_whole(file, gitlab.url(), 0o644)?;
    }
    tracing::info!(url = gitlab.url(), "listening");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    gitlab.stop();
    Ok(())
}

/// Adopts every repository `<name>` or `<name>.git` in a folder.
fn adopt(gitlab: &FakeGitlab, folder: &Path, group: &str) -> Result<usize> {
    let mut paths = Vec::new();
    for entry in fs_err::read_dir(folder)? {
        let path = entry?.path();
        if path.join("HEAD").is_file() {
            paths.push(path);
        }
    }
    paths.sort_unstable();
    for path in &paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let name = name.strip_suffix(".git").unwrap_or(&name);
        gitlab.adopt(path, &format!("{group}/{name}"))?;
    }
    Ok(paths.len())
}

fn write_secret(file: &Path, token: &str) -> Result<()> {
    write_whole(file, token, 0o600)
}

/// Writes a file atomically for its readers.
fn write_whole(file: &Path, text: &str, mode: u32) -> Result<()> {
    let mut partial = file.as_os_str().to_owned();
    partial.push(".new");
    let partial = PathBuf::from(partial);
    if partial.exists() {
        fs_err::remove_file(&partial)?;
    }
    let mut out = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&partial)
        .with_context(|| format!("cannot write {}", partial.display()))?;
    writeln!(out, "{text}")?;
    fs_err::rename(&partial, file)?;
    Ok(())
}
