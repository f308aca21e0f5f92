//! What may follow on the command line: names that the server knows. Asks it within a short time, keeps the answers for
//! a moment, and is silent about every failure.

mod cache;
mod values;
mod words;

use std::ffi::OsStr;
use std::time::Duration;

use buildbtw_model::client::{BuildQuery, Client, SourceQuery};
use buildbtw_model::{NamespaceName, Pkgbase};
use clap_complete::engine::CompletionCandidate;

use crate::chosen::{Wanted, choose};
use crate::config::SavedLogin;
use cache::Cache;
use words::Words;

pub(crate) use values::{
    build_states, iteration_states, missing_keys, network_policies, priorities, scopes,
};

/// The time for questions to the server; a shell waits for them.
const BUDGET: Duration = Duration::from_millis(150);
/// The most names that one question asks for.
const MOST: u32 = 100;
/// The most builds of a namespace that are asked for.
const MOST_BUILDS: u32 = 1000;

/// Completes the name of a namespace.
pub(crate) fn namespaces(current: &OsStr) -> Vec<CompletionCandidate> {
    let question = Question::new("namespaces", "");
    let found = question.answer(async |client| {
        let namespaces = client.namespaces().await.ok()?;
        let names = namespaces
            .into_iter()
            .map(|namespace| namespace.name.to_string());
        Some(names.collect())
    });
    beginning(current, found)
}

/// Completes the name of a worker.
pub(crate) fn workers(current: &OsStr) -> Vec<CompletionCandidate> {
    let found = Question::new("workers", "").answer(async |client| {
        let workers = client.workers().await.ok()?;
        let names = workers.into_iter().map(|worker| worker.name.to_string());
        Some(names.collect())
    });
    beginning(current, found)
}

/// Completes a pkgbase of the sources.
pub(crate) fn pkgbases(current: &OsStr) -> Vec<CompletionCandidate> {
    let prefix = current.to_str().unwrap_or_default().to_owned();
    let question = Question::new("pkgbases", &prefix);
    let found = question.answer(async |client| {
        let query = SourceQuery {
            prefix: Some(prefix).filter(|prefix| !prefix.is_empty()),
            ..SourceQuery::default()
        };
        let sources = client.sources(&query, Some(MOST)).await.ok()?;
        let names = sources.into_iter().filter_map(|source| source.pkgbase);
        Some(names.map(|name| name.to_string()).collect())
    });
    beginning(current, found)
}

/// Completes an origin: a pkgbase, and after its slash a branch.
pub(crate) fn origins(current: &OsStr) -> Vec<CompletionCandidate> {
    let text = current.to_str().unwrap_or_default();
    let Some((name, _)) = text.split_once('/') else {
        return pkgbases(current);
    };
    let Ok(pkgbase) = name.parse::<Pkgbase>() else {
        return Vec::new();
    };
    let found = Question::new("refs", name).answer(async |client| {
        let refs = client.source_refs(&pkgbase).await.ok()?;
        let branches = refs.branches.iter();
        Some(
            branches
                .map(|branch| format!("{pkgbase}/{branch}"))
                .collect(),
        )
    });
    beginning(current, found)
}

/// Completes the pkgbase of a build of the namespace that is already on the command line.
pub(crate) fn builds(current: &OsStr) -> Vec<CompletionCandidate> {
    let words = Words::of_this_program();
    let Some(namespace) = words.arguments.first().and_then(|name| name.parse().ok()) else {
        return Vec::new();
    };
    let question = Question::new("builds", words.arguments.first().map_or("", String::as_str));
    let found = question.answer(async |client| builds_of(&client, &namespace).await);
    beginning(current, found)
}

async fn builds_of(client: &Client, namespace: &NamespaceName) -> Option<Vec<String>> {
    let iteration = client.iteration_overview(namespace, None).await.ok()?;
    let (number, all) = (iteration.summary.number, BuildQuery::default());
    let builds = client
        .builds(namespace, number, &all, Some(MOST_BUILDS))
        .await;
    let mut names: Vec<String> = builds
        .ok()?
        .iter()
        .map(|build| build.pkgbase.to_string())
        .collect();
    names.sort_unstable();
    names.dedup();
    Some(names)
}

/// Completes the architecture of the namespace that is already on the command line.
pub(crate) fn architectures(current: &OsStr) -> Vec<CompletionCandidate> {
    let words = Words::of_this_program();
    let Some(namespace) = words.arguments.first().and_then(|name| name.parse().ok()) else {
        return Vec::new();
    };
    let question = Question::new(
        "architectures",
        words.arguments.first().map_or("", String::as_str),
    );
    let found = question.answer(async |client| {
        let iteration = client.iteration_overview(&namespace, None).await.ok()?;
        let architectures = iteration.architectures.iter();
        Some(
            architectures
                .map(|architecture| architecture.architecture.to_string())
                .collect(),
        )
    });
    beginning(current, found)
}

fn beginning(current: &OsStr, names: Vec<String>) -> Vec<CompletionCandidate> {
    let prefix = current.to_str().unwrap_or_default();
    let fitting = names.into_iter().filter(|name| name.starts_with(prefix));
    fitting.map(CompletionCandidate::new).collect()
}

/// A question to the server.
struct Question {
    wanted: Wanted,
    key: String,
}

impl Question {
    fn new(kind: &str, about: &str) -> Self {
        Self {
            wanted: Words::of_this_program().wanted,
            key: format!("{kind} {about}"),
        }
    }

    /// Returns the answer: a fresh one of the cache, else the server's, else an old one of the cache.
    fn answer(&self, ask: impl AsyncFnOnce(Client) -> Option<Vec<String>>) -> Vec<String> {
        let path = SavedLogin::default_path();
        let saved = path.and_then(|path| SavedLogin::load(&path).ok());
        let chosen = choose(&self.wanted, &saved.unwrap_or_default());
        let mut cache = Cache::load();
        let key = format!("{} {}", chosen.server, self.key);
        if let Some(fresh) = cache.fresh(&key) {
            return fresh;
        }
        let answer = chosen
            .client()
            .ok()
            .and_then(|client| within_budget(ask(client)));
        match answer {
            Some(names) => {
                cache.keep(&key, &names);
                names
            }
            None => cache.any(&key),
        }
    }
}

/// Runs a future until it ends or the time is over.
fn within_budget(ask: impl Future<Output = Option<Vec<String>>>) -> Option<Vec<String>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .ok()?;
    let answer = runtime.block_on(async { tokio::time::timeout(BUDGET, ask).await });
    // Does not wait for the resolution of a name.
    runtime.shutdown_background();
    answer.ok().flatten()
}
