//! How long a group of a GitLab takes to be read, and how soon a push becomes a plan. Prints figures;
//! asserts nothing about time.
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
use std::time::{Duration, Instant};

use buildbtw_fake_gitlab::{ImportedText, project_path};
use buildbtw_model::api::IterationDetail;
use buildbtw_model::client::Client;
use buildbtw_tests::crew::create;
use buildbtw_tests::forge::GROUP;
use buildbtw_tests::{Forge, Server};
use jiff::SignedDuration;

#[path = "../../crates/planner/tests/it/generate.rs"]
#[allow(dead_code, reason = "the planner's benchmarks use the rest")]
mod generate;

/// How many pushes are timed.
const PUSHES: usize = 30;

fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    first_look(13_000);
    pushes(15_000, &["gdk-pixbuf2-noglycin", "libpng-apng"]);
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

/// From a push to the new iteration that it leads to.
fn pushes(size: usize, origins: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let texts = texts(size);
    let forge = forge(folder.path(), &texts);
    let mut server = Server::start_with_gitlab(folder.path(), &forge);
    server.wait_for_line("looked at all projects");
    forge.hook(&server);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for origin in origins {
        let Some(text) = texts.iter().find(|text| pkgbase(text) == *origin) else {
            println!("push to {origin}: not measured, its corpus is not there");
            continue;
        };
        let (builds, mut times) = runtime.block_on(pushes_to(&forge, &server, origin, text));
        times.sort();
        println!(
            "push -> new iteration of {builds} builds at {size} packages   median {:.0?}, p90 {:.0?}",
            times[times.len() / 2],
            times[times.len() * 9 / 10],
        );
    }
    println!(
        "memory of the server after it   {} MiB",
        server.memory_kib() / 1024
    );
}

async fn pushes_to(
    forge: &Forge,
    server: &Server,
    origin: &str,
    text: &str,
) -> (usize, Vec<Duration>) {
    let client = server.client();
    create(&client, &format!("{origin}/main"), origin).await;
    let builds = first_iteration(&client, origin).await.builds.len();
    let path = format!("{GROUP}/{}", project_path(origin));
    let project = forge.gitlab.project_id(&path).unwrap();
    let mut times = Vec::with_capacity(PUSHES);
    for number in 1..=PUSHES {
        let text = text.replacen("pkgrel = ", &format!("pkgrel = {number}"), 1);
        let mut events = client.events(&origin.parse().unwrap(), None).await.unwrap();
        let gitlab = forge.gitlab.clone();
        let commit = move || {
            let files: [(&str, Option<&[u8]>); 1] = [(".SRCINFO", Some(text.as_bytes()))];
            gitlab.commit(project, "main", &files, "bump").unwrap();
        };
        tokio::task::spawn_blocking(commit).await.unwrap();
        // The webhook is on its way when the commit is made.
        let pushed = Instant::now();
        while events.next().await.unwrap().expect("the server runs").kind != "iteration.planned" {}
        times.push(pushed.elapsed());
    }
    (builds, times)
}

async fn first_iteration(client: &Client, name: &str) -> IterationDetail {
    let name = name.parse().unwrap();
    client.iteration(&name, Some(1)).await.unwrap()
}
