//! Several people and workers, with whole programs: who did what, priorities, edits, and drained workers.

use std::path::Path;
use std::process::{Command, Output};

use buildbtw_tests::{Package, Server, Sources, Worker, cli, eventually, printed, program};
use serde_json::Value;

/// Writes packages that need no others.
fn sources(folder: &Path, names: &[&'static str]) -> Sources {
    let sources = Sources::new(folder);
    for pkgbase in names {
        sources.commit(&Package {
            pkgbase,
            pkgver: "1",
            base: &[],
            packages: &[],
        });
    }
    sources
}

fn text(output: &Output) -> String {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn json(output: &Output) -> Value {
    serde_json::from_str(&text(output)).unwrap()
}

/// Waits until the only worker has a state.
fn wait_for_worker(server: &Server, status: &str) -> Value {
    eventually(&format!("the worker is {status}"), || {
        let workers = json(&cli(server, &["workers", "--json=all"]));
        let worker = workers.get(0)?.clone();
        (worker["status"] == status).then_some(worker)
    })
}

#[test]
fn drained_worker_gets_nothing_until_it_is_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let sources = sources(folder.path(), &["libgreet"]);
    let server = Server::start(folder.path(), &sources);
    let scratch = folder.path().join("worker");
    let _worker = Worker::simulated_and(&server, &scratch, &["--tag", "big,gpu"]);
    let idle = wait_for_worker(&server, "idle");
    assert_eq!(idle["machine"]["tags"], serde_json::json!(["big", "gpu"]));
    assert!(idle["machine"]["cores"].as_u64().unwrap() > 0, "{idle}");
    assert!(
        idle["load"]["disk_total_bytes"].as_u64().unwrap() > 0,
        "{idle}"
    );
    let drained = text(&cli(
        &server,
        &["worker", "drain", "test", "-m", "new disk"],
    ));
    assert!(
        drained.starts_with("drained test; it builds nothing"),
        "{drained}"
    );
    text(&cli(&server, &["new", "libgreet/main", "--name", "one"]));
    let shown = text(&cli(&server, &["show", "one"]));
    assert!(shown.contains("stalled: no worker for x86_64"), "{shown}");
    text(&cli(&server, &["worker", "resume", "test"]));
    let watched = text(&cli(&server, &["watch", "one"]));
    assert!(watched.contains("done"), "{watched}");
    let activity = text(&cli(&server, &["activity"]));
    for line in ["drained", "resumed", "created", "new disk"] {
        assert!(activity.contains(line), "{activity}");
    }
}

#[test]
fn unknown_workers_and_empty_namespaces_are_refused_with_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    let sources = sources(folder.path(), &["libgreet"]);
    let server = Server::start(folder.path(), &sources);
    text(&cli(&server, &["new", "libgreet/main", "--name", "one"]));
    for (args, error, hint) in [
        (
            &["worker", "drain", "nosuch"][..],
            "error: worker `nosuch` not found",
            "hint: `buildbtw workers` lists all workers",
        ),
        (
            &["edit", "one", "--remove", "libgreet"],
            "error: `one` would have no origin left",
            "hint: name another one with --add, or remove the namespace with `buildbtw delete one`",
        ),
        (
            &["prioritize", "gone", "high"],
            "error: namespace `gone` not found",
            "`buildbtw list` lists all namespaces",
        ),
    ] {
        let output = cli(&server, args);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{stderr}");
        assert!(stderr.contains(error) && stderr.contains(hint), "{stderr}");
    }
}

#[test]
fn edit_and_priority_change_a_running_rebuild() {
    let folder = tempfile::tempdir().unwrap();
    let sources = sources(folder.path(), &["libgreet", "libwave"]);
    let server = Server::start(folder.path(), &sources);
    text(&cli(&server, &["new", "libgreet/main", "--name", "one"]));
    let scratch = folder.path().join("worker");
    let _worker = Worker::simulated_and(&server, &scratch, &[]);
    text(&cli(&server, &["watch", "one"]));
    let edit = [
        "edit",
        "one",
        "--add",
        "libwave/main",
        "--priority",
        "urgent",
    ];
    let edited = text(&cli(&server, &edit));
    assert!(edited.contains("one has the priority urgent"), "{edited}");
    assert!(edited.contains("one: iteration 2, 1 to build"), "{edited}");
    text(&cli(&server, &["watch", "one"]));
    let listed = text(&cli(&server, &["list", "--mine"]));
    assert!(listed.contains("libgreet/main libwave/main"), "{listed}");
}

#[test]
fn worker_for_another_architecture_stops_with_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let sources = sources(folder.path(), &["libgreet"]);
    let server = Server::start(folder.path(), &sources);
    let output = Command::new(program("buildbtw-worker"))
        .args([
            "run",
            "--server",
            &server.url(),
            "--token",
            &server.admin_token(),
        ])
        .args([
            "--name",
            "w",
            "--architectures",
            "riscv64",
            "--builder",
            "simulated",
        ])
        .arg("--scratch-dir")
        .arg(folder.path().join("worker"))
        .output()
        .unwrap();
    assert!(!output.status.success(), "{}", printed(&output));
    let expected = "this server builds for x86_64, and this worker only for riscv64";
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        stderr.contains(expected) && stderr.contains("hint: "),
        "{stderr}"
    );
}
