//! Names of namespaces and their iterations, of workers, architectures, people and tokens.

use std::ffi::OsStr;

use buildbtw_model::NamespaceName;
use buildbtw_model::client::ActivityQuery;
use clap_complete::engine::{CompletionCandidate, PathCompleter, ValueCompleter as _};

use super::question::{Question, beginning, sorted};

/// How many of the latest activities name the people that are completed.
const ACTIVITIES: u32 = 200;

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

/// Completes a folder, or the name of a namespace.
pub(crate) fn folders_and_namespaces(current: &OsStr) -> Vec<CompletionCandidate> {
    let mut candidates = PathCompleter::dir().complete(current);
    candidates.extend(namespaces(current));
    candidates
}

/// Completes the number of an iteration of the namespace that is already on the command line.
pub(crate) fn iterations(current: &OsStr) -> Vec<CompletionCandidate> {
    match Question::of_namespace("iterations") {
        Some((question, namespace)) => beginning(current, numbers(&question, &namespace)),
        None => Vec::new(),
    }
}

/// Completes what `diff` compares: a namespace, and after its slash the number of an iteration.
pub(crate) fn compared_iterations(current: &OsStr) -> Vec<CompletionCandidate> {
    let text = current.to_str().unwrap_or_default();
    let Some((name, _)) = text.split_once('/') else {
        return namespaces(current);
    };
    let Ok(namespace) = name.parse::<NamespaceName>() else {
        return Vec::new();
    };
    let numbers = numbers(&Question::new("iterations", name), &namespace);
    let named = numbers
        .into_iter()
        .map(|number| format!("{namespace}/{number}"));
    beginning(current, named.collect())
}

/// Returns the numbers of the iterations of a namespace, the newest first.
fn numbers(question: &Question, namespace: &NamespaceName) -> Vec<String> {
    question.answer(async |client| {
        let namespace = client.namespace(namespace).await.ok()?;
        let numbers = namespace.iterations.iter();
        Some(
            numbers
                .map(|iteration| iteration.number.to_string())
                .collect(),
        )
    })
}

/// Completes the architecture of the namespace that is already on the command line.
pub(crate) fn architectures(current: &OsStr) -> Vec<CompletionCandidate> {
    let Some((question, namespace)) = Question::of_namespace("architectures") else {
        return Vec::new();
    };
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

/// Completes an architecture that a worker builds for.
pub(crate) fn built_architectures(current: &OsStr) -> Vec<CompletionCandidate> {
    let found = Question::new("built architectures", "").answer(async |client| {
        let workers = client.workers().await.ok()?;
        let all = workers.iter().flat_map(|worker| &worker.architectures);
        Some(sorted(all.map(ToString::to_string)))
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

/// Completes the name of a token with which something was done lately.
pub(crate) fn people(current: &OsStr) -> Vec<CompletionCandidate> {
    let found = Question::new("people", "").answer(async |client| {
        let all = ActivityQuery::default();
        let activities = client.activity(&all, Some(ACTIVITIES)).await.ok()?;
        Some(sorted(
            activities.into_iter().filter_map(|entry| entry.actor),
        ))
    });
    beginning(current, found)
}

/// Completes the number of a token that is not revoked, and says whose it is.
pub(crate) fn tokens(current: &OsStr) -> Vec<CompletionCandidate> {
    let found = Question::new("tokens", "").answer(async |client| {
        let tokens = client.tokens().await.ok()?;
        let valid = tokens.iter().filter(|token| token.revoked_at.is_none());
        Some(
            valid
                .map(|token| format!("{}\t{} ({})", token.id, token.name, token.scope))
                .collect(),
        )
    });
    beginning(current, found)
}
