//! The parts that tests interact with: a server, the source repositories it watches, and workers.

mod clock;
mod packages;
mod problems;
mod repository;
mod server;
mod sources;
mod worker;

use std::path::Path;
use std::time::Duration;

pub(crate) use packages::{elf, make_package, make_package_of, make_packages, make_packages_with};
pub(crate) use problems::{expect_problem, refusal};
pub(crate) use repository::{Repository, have_pacman};
pub(crate) use server::{ServerOptions, TestServer, new_namespace, start_server};
pub(crate) use sources::{SourceTree, Srcinfo, git, run};
pub(crate) use worker::{FakeWorker, Job, failed, reported};

/// Longer than any step takes on a slow and busy machine. Only failing tests wait for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Gives a folder and all in it to a user who is not root. Returns whether that is possible; if not, prints that the test
/// is skipped.
pub(crate) fn give_away(folder: &Path) -> bool {
    const USER: u32 = 12_345;
    let mut paths = vec![folder.to_owned()];
    while let Some(path) = paths.pop() {
        if std::os::unix::fs::lchown(&path, Some(USER), Some(USER)).is_err() {
            eprintln!("SKIPPED: only root can change the owner of files");
            return false;
        }
        if path.is_dir() {
            let entries = fs_err::read_dir(&path).unwrap();
            paths.extend(entries.map(|entry| entry.unwrap().path()));
        }
    }
    true
}

/// Parses text that the test itself wrote.
pub(crate) fn parse<T>(text: &str) -> T
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    text.parse()
        .unwrap_or_else(|error| panic!("{text:?} in a test: {error}"))
}

/// Polls until there is a result, for changes that the server does not announce.
pub(crate) async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        if let Some(value) = ask().await {
            return value;
        }
        assert!(
            tokio::time::Instant::now() < deadline,
            "{what} did not happen in {PATIENCE:?}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
