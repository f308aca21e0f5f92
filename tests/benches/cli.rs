//! How long a person waits for the command line: from the start of the program to its first byte and to its end, for a
//! rebuild of 5,000 builds and completion among 15,000 packages. Prints figures; asserts nothing about time.
//!
//! Programs and server are processes of their own. `just bench` compiles them first.
//! `cargo bench … -- start|show|complete` runs one part.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    missing_docs,
    reason = "panics abort the benchmark; it prints its figures"
)]

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use buildbtw_model::FailureKind;
use buildbtw_model::api::Outcome;
use buildbtw_model::client::Client;
use buildbtw_tests::paced::spread;
use buildbtw_tests::worker_pool::{Packages, claim, create, persist, report};
use buildbtw_tests::{Server, Sources, program};

/// How often each command runs.
const RUNS: usize = 15;
/// The builds of the rebuild.
const BUILDS: usize = 5_000;
/// The packages of the sources.
const PACKAGES: usize = 15_000;
/// How many builds of the rebuild failed.
const FAILED: usize = 300;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--test") {
        return;
    }
    let names: Vec<&String> = arguments
        .iter()
        .filter(|argument| !argument.starts_with("--"))
        .collect();
    let wanted = |name: &str| names.is_empty() || names.iter().any(|wanted| *wanted == name);
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let site = runtime.block_on(Site::start(folder.path()));
    if wanted("start") {
        start(&site);
    }
    if wanted("show") {
        show(&site);
    }
    if wanted("complete") {
        complete(&site);
    }
}

/// A server with a large rebuild, some of whose builds failed.
struct Site {
    server: Server,
    home: PathBuf,
}

impl Site {
    async fn start(folder: &Path) -> Self {
        let sources = Sources::new(folder);
        let needs = |number: usize| match number {
            1..BUILDS => vec![0],
            _ => Vec::new(),
        };
        sources.write_graph((0..PACKAGES).map(needs));
        let server = Server::start_for_many_clients(folder, &sources, 600);
        let client = server.client();
        create(&client, "p0/main", "mass").await;
        let packages = Packages::new(folder);
        let first = next(&client).await;
        let uploaded = packages.upload(&client, &first).await;
        report(&client, &first, uploaded).await;
        for _ in 0..FAILED {
            let build = next(&client).await;
            let outcome = Outcome::failed(FailureKind::Package, "build() failed: no such header");
            persist(|| client.report_outcome(build.attempt, &outcome)).await;
        }
        let home = folder.join("home");
        std::fs::create_dir_all(&home).unwrap();
        Self { server, home }
    }

    /// Returns a command of the client, with nothing in its environment but what it needs.
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(program("buildbtw"));
        command
            .args(args)
            .env_clear()
            .env("HOME", &self.home)
            .env("TZ", "UTC")
            .env("BUILDBTW_SERVER", self.server.url())
            .env("BUILDBTW_TOKEN", self.server.admin_token())
            .stdin(Stdio::null());
        command
    }

    /// Returns the command with which bash asks what fits the last of these words.
    fn question(&self, words: &[&str]) -> Command {
        let mut command = self.command(&[&["--", "buildbtw"], words].concat());
        command
            .env("COMPLETE", "bash")
            .env("_CLAP_COMPLETE_INDEX", words.len().to_string())
            .env("_CLAP_COMPLETE_COMP_TYPE", "9")
            .env("_CLAP_COMPLETE_SPACE", "true")
            .env("_CLAP_IFS", "\n");
        command
    }

    fn forget_answers(&self) {
        let cache = self.home.join(".cache/buildbtw/completion.json");
        let _ = std::fs::remove_file(cache);
    }
}

async fn next(client: &Client) -> buildbtw_model::api::ClaimedBuild {
    claim(client, "bench", 50).await.unwrap()
}

/// The times of one run, and what it printed.
struct Run {
    first_byte: Duration,
    end: Duration,
    bytes: usize,
    lines: usize,
}

fn run(mut command: Command) -> Run {
    let began = Instant::now();
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut text = vec![0];
    let read = stdout.read(&mut text).unwrap();
    text.truncate(read);
    let first_byte = began.elapsed();
    stdout.read_to_end(&mut text).unwrap();
    let status = child.wait().unwrap();
    let end = began.elapsed();
    assert!(status.success(), "{command:?}: {status}");
    Run {
        first_byte,
        end,
        bytes: text.len(),
        lines: text.iter().filter(|byte| **byte == b'\n').count(),
    }
}

fn runs(mut command: impl FnMut() -> Command) -> Vec<Run> {
    (0..RUNS).map(|_| run(command())).collect()
}

/// Measures the time to the first byte.
fn start(site: &Site) {
    for args in [
        &["--version"][..],
        &["list"],
        &["status"],
        &["workers", "--json=all"],
    ] {
        let runs = runs(|| site.command(args));
        let first_bytes = runs.iter().map(|run| run.first_byte).collect();
        println!(
            "first byte of {:<24}   {}",
            args.join(" "),
            spread(first_bytes)
        );
    }
}

/// Measures showing a large rebuild.
fn show(site: &Site) {
    let all: [&[&str]; 4] = [&[], &["--failed"], &["--all"], &["--json=builds"]];
    for options in all {
        let args = [&["show", "mass"], options].concat();
        let runs = runs(|| site.command(&args));
        let (bytes, lines) = (runs[0].bytes, runs[0].lines);
        let ends = runs.iter().map(|run| run.end).collect();
        println!(
            "{:<38}   {}, {lines} lines, {} KiB",
            args.join(" "),
            spread(ends),
            bytes >> 10
        );
    }
}

/// Measures completion, with and without kept answers.
fn complete(site: &Site) {
    for words in [
        &["new", ""][..],
        &["new", "p149"],
        &["new", "p14999/"],
        &["show", "m"],
        &["why", "mass", ""],
        &["why", "mass", "p499"],
    ] {
        let cold = runs(|| {
            site.forget_answers();
            site.question(words)
        });
        let kept = runs(|| site.question(words));
        for (how, runs) in [("asked", cold), ("kept", kept)] {
            // Without an answer in time there are none, or options only.
            let candidates = |run: &Run| match run.bytes {
                0 => 0,
                _ => run.lines + 1,
            };
            let fewest = runs.iter().map(candidates).min();
            let ends = runs.iter().map(|run| run.end).collect();
            println!(
                "complete {:<20} {how:<5}       {}, at least {} candidates",
                format!("`{}`", words.join(" ")),
                spread(ends),
                fewest.unwrap_or_default()
            );
        }
    }
}
