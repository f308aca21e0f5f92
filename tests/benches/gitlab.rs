//! The time to read a GitLab group, and the cost of polling it. Prints figures; asserts nothing about time.
//!
//! The server is a process of its own; the stand-in for GitLab shares another one with this. `just bench` compiles the
//! server first.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    missing_docs,
    reason = "panics abort the benchmark; it prints its figures"
)]

use std::collections::BTreeSet;
use std::time::Instant;

use buildbtw_fake_gitlab::{ImportedText, project_path};
use buildbtw_model::EventKind;
use buildbtw_model::client::EventStream;
use buildbtw_tests::forge::GROUP;
use buildbtw_tests::{Forge, Server};
use jiff::SignedDuration;

#[path = "../../crates/planner/tests/it/generate.rs"]
#[allow(dead_code, reason = "the planner's benchmarks use the rest")]
mod generate;

fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    initial_sync(13_000);
    push(15_000);
}

/// Returns this many `.SRCINFO`s, whose project paths differ.
fn texts(size: usize) -> Vec<String> {
    let mut paths = BTreeSet::new();
    let mut texts = generate::texts(size + size / 10);
    texts.retain(|text| paths.insert(project_path(&pkgbase(text)).to_lowercase()));
    texts.truncate(size);
    texts
}

/// Returns a group with these packages, without activity for hours.
fn forge(folder: &std::path::Path, texts: &[String]) -> Forge {
    let forge = Forge::new(folder);
    // Back to now afterwards: webhooks are signed with the time.
    let hours = SignedDuration::from_hours(3);
    forge.gitlab.clock().advance(-hours);
    let texts = texts.iter().map(|text| ImportedText {
        pkgbase: pkgbase(text),
        srcinfo: text.clone().into_bytes(),
    });
    forge.gitlab.import_texts(texts, GROUP).unwrap();
    forge.gitlab.clock().advance(hours);
    forge.gitlab.clear_requests();
    forge
}

fn pkgbase(srcinfo: &str) -> String {
    let line = srcinfo.lines().find_map(|l| l.strip_prefix("pkgbase = "));
    line.unwrap().to_owned()
}

/// Measures the initial sync, from an empty database to the whole index.
fn initial_sync(size: usize) {
    let folder = tempfile::tempdir().unwrap();
    let texts = texts(size);
    let forge = forge(folder.path(), &texts);
    let started = Instant::now();
    let mut server = Server::start_with_gitlab(folder.path(), &forge);
    server.wait_until_logged("finished a full resync");
    println!(
        "initial sync of {size} projects   {:.1?}, {} requests, {} MiB of memory",
        started.elapsed(),
        forge.gitlab.requests().len(),
        server.memory_kib() / 1024,
    );
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let client = server.client();
    let some = pkgbase(&texts[0]);
    runtime.block_on(async {
        let request = serde_json::from_value(serde_json::json!({
            "changesets": [format!("{some}/main")], "scope": "origin",
        }))
        .unwrap();
        // The first poll ends the window of the import.
        client.preview_plan(&request).await.unwrap();
        forge.gitlab.clear_requests();
        let wal = server.data().join("buildbtw.sqlite3-wal");
        let before = std::fs::read(&wal).unwrap();
        let started = Instant::now();
        client.preview_plan(&request).await.unwrap();
        println!(
            "idle poll of {size} projects    {:.1?}, {} requests, written: {}",
            started.elapsed(),
            forge.gitlab.requests().len(),
            if std::fs::read(&wal).unwrap() == before {
                "nothing"
            } else {
                "something"
            },
        );
    });
}

/// Measures the time from the end of a push to the plan of a new iteration, by webhook.
fn push(size: usize) {
    const PUSHES: usize = 21;
    let folder = tempfile::tempdir().unwrap();
    let texts = texts(size);
    let forge = forge(folder.path(), &texts);
    let mut server = Server::start_with_gitlab(folder.path(), &forge);
    server.wait_until_logged("finished a full resync");
    forge.hook(&server.url());
    let (origin, text) = (&pkgbase(&texts[size / 2]), &texts[size / 2]);
    let project = format!("{GROUP}/{}", project_path(origin));
    let project = forge.gitlab.project_id(&project).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let client = server.client();
    let created = runtime.block_on(async {
        let request = serde_json::from_value(serde_json::json!({
            "changesets": [format!("{origin}/main")], "scope": "all", "max_builds": 100_000,
        }))
        .unwrap();
        client.create_namespace(&request).await.unwrap()
    });
    let name = created.summary.name;
    let builds = runtime.block_on(async {
        let newest = client.iteration(&name, None).await.unwrap();
        newest.builds.len()
    });
    let mut times: Vec<_> = (0..PUSHES)
        .map(|number| {
            let comment = format!("# {number}\n{text}");
            let files = [(".SRCINFO", Some(comment.as_bytes()))];
            let mut events = runtime.block_on(client.events(&name, None)).unwrap();
            forge
                .gitlab
                .commit(project, "main", &files, "Update")
                .unwrap();
            let started = Instant::now();
            runtime.block_on(planned(&mut events));
            started.elapsed()
        })
        .collect();
    times.sort_unstable();
    println!(
        "push to plan, {size} packages      {:.1?} median, {:.1?} slowest of {PUSHES}, {builds} builds, {} MiB of memory",
        times[PUSHES / 2],
        times[PUSHES - 1],
        server.memory_kib() / 1024,
    );
}

/// Waits until an iteration is planned.
async fn planned(events: &mut EventStream) {
    while events.next().await.unwrap().unwrap().kind != EventKind::IterationPlanned {}
}
