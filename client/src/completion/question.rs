//! Questions to the server.

use std::ffi::OsStr;
use std::time::Duration;

use buildbtw_model::NamespaceName;
use buildbtw_model::client::Client;
use clap_complete::engine::CompletionCandidate;

use super::cache::Cache;
use super::words::Words;
use crate::chosen::choose;
use crate::config::SavedLogin;

/// The time for questions to the server; a shell waits for them.
const BUDGET: Duration = Duration::from_millis(150);
/// The variable that sets another time, in milliseconds, for servers that are far away.
const BUDGET_VARIABLE: &str = "BUILDBTW_COMPLETION_MS";

/// A question to the server.
pub(super) struct Question {
    words: Words,
    key: String,
}

impl Question {
    /// Creates a question about names of a kind, of all that there are or of something.
    pub(super) fn new(kind: &str, about: &str) -> Self {
        Self {
            words: Words::of_this_program(),
            key: format!("{kind} {about}"),
        }
    }

    /// Creates a question about the namespace that is already on the command line. None without one.
    pub(super) fn of_namespace(kind: &str) -> Option<(Self, NamespaceName)> {
        let words = Words::of_this_program();
        let namespace: NamespaceName = words.arguments.first()?.parse().ok()?;
        let key = format!("{kind} {namespace}");
        Some((Self { words, key }, namespace))
    }

    /// Narrows the question: its answer is about this, too.
    pub(super) fn narrowed(mut self, to: &str) -> Self {
        self.key = format!("{} {to}", self.key);
        self
    }

    /// Returns the answer: a fresh one of the cache, else the server's, else an old one of the cache.
    pub(super) fn answer(
        &self,
        ask: impl AsyncFnOnce(Client) -> Option<Vec<String>>,
    ) -> Vec<String> {
        let path = SavedLogin::default_path();
        let saved = path.and_then(|path| SavedLogin::load(&path).ok());
        let chosen = choose(&self.words.wanted, &saved.unwrap_or_default());
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
    let answer = runtime.block_on(async { tokio::time::timeout(budget(), ask).await });
    // Does not wait for the resolution of a name.
    runtime.shutdown_background();
    answer.ok().flatten()
}

fn budget() -> Duration {
    let set = std::env::var(BUDGET_VARIABLE).ok();
    let set = set.and_then(|text| text.parse().ok());
    set.map_or(BUDGET, Duration::from_millis)
}

/// Returns the names that begin like the current word. What follows a tab in a name describes it.
pub(super) fn beginning(current: &OsStr, names: Vec<String>) -> Vec<CompletionCandidate> {
    let prefix = current.to_str().unwrap_or_default();
    let fitting = names.into_iter().filter(|name| name.starts_with(prefix));
    let candidate = |name: String| match name.split_once('\t') {
        Some((name, help)) => CompletionCandidate::new(name).help(Some(help.to_owned().into())),
        None => CompletionCandidate::new(name),
    };
    fitting.map(candidate).collect()
}

/// Sorts names, and removes those that are there twice.
pub(super) fn sorted(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut names: Vec<String> = names.collect();
    names.sort_unstable();
    names.dedup();
    names
}
