//! One id joins requests, attempts, logs, pages and exported traces, here of whole programs that log JSON.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};

use buildbtw_tests::{PreviousDistribution, Process, Sources, printed, program};
use serde_json::Value;

/// Starts a server with more arguments. Returns it with its URL.
fn server(folder: &Path, sources: &Sources, more: &[&str]) -> (Process, String) {
    let mut command = Command::new(program("buildbtw-server"));
    command
        .args(["run", "--listen", "127.0.0.1:0", "--disk-reserve-mib", "0"])
        .arg("--data-dir")
        .arg(folder.join("data"))
        .arg("--sources-dir")
        .arg(sources.folder())
        .args(more)
        .env("BUILDBTW_LOG_FORMAT", "json");
    let mut process = Process::start("server", &mut command);
    let line = parse(&process.wait_for_line("\"serving\""));
    let url = format!("http://{}", line["address"].as_str().unwrap());
    (process, url)
}

fn worker(folder: &Path, url: &str, token: &str) -> Process {
    let mut command = Command::new(program("buildbtw-worker"));
    command
        .args(["run", "--server", url, "--token", token, "--name", "test"])
        .args(["--builder", "simulated", "--simulated-seconds", "0"])
        .args(["--architectures", "x86_64", "--log-format", "json"])
        .arg("--scratch-dir")
        .arg(folder.join("scratch"));
    Process::start("worker", &mut command)
}

fn client(url: &str, token: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(program("buildbtw"));
    command
        .args(arguments)
        .env("BUILDBTW_SERVER", url)
        .env("BUILDBTW_TOKEN", token)
        .env("NO_COLOR", "1");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", printed(&output));
    output
}

/// Parses a line of a log, which must be an object with what every line has.
fn parse(line: &str) -> Value {
    let parsed: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"));
    for field in ["timestamp", "level", "target", "message"] {
        assert!(parsed[field].is_string(), "{field}: {line}");
    }
    parsed
}

/// Returns the values of a field in the spans of all lines.
fn in_spans(log: &str, field: &str) -> BTreeSet<String> {
    let lines: Vec<Value> = log.lines().map(parse).collect();
    let spans = lines
        .iter()
        .filter_map(|line| line["spans"].as_array())
        .flatten();
    spans
        .filter_map(|span| span[field].as_str().map(str::to_owned))
        .collect()
}

#[test]
fn finds_a_build_by_one_id_in_all_logs() {
    let folder = tempfile::tempdir().unwrap();
    let sources = Sources::with_a_library(folder.path());
    let debug = ["--log", "info,buildbtw_server=debug"];
    let (server, url) = server(folder.path(), &sources, &debug);
    let token = std::fs::read_to_string(folder.path().join("data/admin-token")).unwrap();
    let worker = worker(folder.path(), &url, token.trim());
    let client = |arguments: &[&str]| client(&url, token.trim(), arguments);
    client(&["new", "libfoo/main", "--name", "bump", "--follow"]);
    let shown = client(&["show", "bump", "--json=all"]);
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    let attempt = shown["builds"][0]["attempt"].as_str().unwrap();
    let trace = attempt.replace('-', "");
    let pkgbase = shown["builds"][0]["pkgbase"].as_str().unwrap();
    let why = client(&["why", "bump", pkgbase]);
    assert!(printed(&why).contains(&trace), "{}", printed(&why));
    if let Some(old) = PreviousDistribution::of(folder.path(), &sources, &[("libfoo", "0-1")]) {
        let members = ["libfoo", "left", "right", "top"];
        old.upgrades_from(&url, "bump", &members, &|| Command::new("pacman"));
    }
    worker.terminate();
    let (code, log) = worker.wait();
    assert_eq!(code, Some(0), "{log}");
    assert!(in_spans(&log, "trace_id").contains(&trace), "{log}");
    assert!(in_spans(&log, "attempt.id").contains(attempt), "{log}");
    server.terminate();
    let (code, log) = server.wait();
    assert_eq!(code, Some(0), "{log}");
    assert!(in_spans(&log, "trace_id").contains(&trace), "{log}");
}

#[test]
fn reports_errors_of_the_start_as_json_with_their_hint() {
    let folder = tempfile::tempdir().unwrap();
    for (name, arguments) in [
        ("buildbtw-server", ["--sources-dir", "nowhere"]),
        ("buildbtw-worker", ["--token-file", "nowhere"]),
    ] {
        let mut command = Command::new(program(name));
        command
            .arg("run")
            .args(arguments)
            .args(["--log-format", "json"])
            .current_dir(folder.path());
        let (code, log) = Process::start(name, &mut command).wait();
        assert_eq!(code, Some(1), "{log}");
        let lines: Vec<Value> = log.lines().map(parse).collect();
        let last = lines.last().unwrap();
        assert_eq!(last["level"], "ERROR", "{log}");
        assert!(last["hint"].is_string(), "{log}");
    }
}
