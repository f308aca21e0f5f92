//! How long a group of a GitLab takes to be read, and what it costs to ask whether anything moved.
//! Prints figures; asserts nothing about time.
//!
//! The server is a process of its own; the stand-in for GitLab shares another one with this. `just
//! bench` compiles the server first.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a failure here is a broken benchmark, and its figures are what it prints"
)]

use std::collections::BTreeSet;
use std::time::Instant;

use buildbtw_fake_gitlab::{ImportedText, project_path};
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
    first_look(13_000);
}

/// The `.SRCINFO`s of so many packages, none of which has the project path of another one.
fn texts(size: usize) -> Vec<String> {
    let mut paths = BTreeSet::new();
    let mut texts = generate::texts(size + size / 10);
    texts.retain(|text| paths.insert(project_path(&pkgbase(text)).to_lowercase()));
    texts.truncate(size);
    texts
}

/// A group with these packages, of which nothing has moved for hours.
fn forge(folder: &std::path::Path, texts: &[String]) -> Forge {
    let forge = Forge::new(folder);
    let texts = texts.iter().map(|text| ImportedText {
        pkgbase: pkgbase(text),
        srcinfo: text.clone().into_bytes(),
    });
    forge.gitlab.import_texts(texts, GROUP).unwrap();
    forge.gitlab.clock().advance(SignedDuration::from_hours(3));
    forge.gitlab.clear_requests();
    forge
}

fn pkgbase(srcinfo: &str) -> String {
    let line = srcinfo.lines().find_map(|l| l.strip_prefix("pkgbase = "));
    line.unwrap().to_owned()
}

/// From an empty database to the whole index.
fn first_look(size: usize) {
    let folder = tempfile::tempdir().unwrap();
    let texts = texts(size);
    let forge = forge(folder.path(), &texts);
    let started = Instant::now();
    let mut server = Server::start_with_gitlab(folder.path(), &forge);
    server.wait_for_line("looked at all projects");
    println!(
        "first look at {size} projects   {:.1?}, {} requests, {} MiB of memory",
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
