//! Names of packages: those of the sources, and those of a namespace.

use std::ffi::OsStr;

use buildbtw_model::api::NamespaceDetail;
use buildbtw_model::client::{BuildQuery, Client, SourceQuery};
use buildbtw_model::{NamespaceName, Pkgbase};
use clap_complete::engine::CompletionCandidate;

use super::question::{Question, beginning, sorted};

/// The most names that one question asks for. Of fewer, all might have the same next letter, which a shell would add.
const MOST: u32 = 500;
/// The most builds of a namespace that are asked for.
const MOST_BUILDS: u32 = 1000;

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

/// Completes a pattern of pkgbases, as long as it is the beginning of one.
pub(crate) fn patterns(current: &OsStr) -> Vec<CompletionCandidate> {
    let text = current.to_str().unwrap_or_default();
    match text.contains(['*', '?', '[', '\\']) {
        true => Vec::new(),
        false => pkgbases(current),
    }
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

/// Completes an origin of the namespace that is already on the command line: a pkgbase, and after its slash the ref.
pub(crate) fn removed_origins(current: &OsStr) -> Vec<CompletionCandidate> {
    let Some((question, namespace)) = Question::of_namespace("origins") else {
        return Vec::new();
    };
    let found = question.answer(async |client| {
        let namespace = client.namespace(&namespace).await.ok()?;
        let origins = namespace.summary.changesets.iter();
        Some(origins.map(ToString::to_string).collect())
    });
    let text = current.to_str().unwrap_or_default();
    let pkgbase = |origin: String| match origin.split_once('/') {
        Some((pkgbase, _)) if !text.contains('/') => pkgbase.to_owned(),
        _ => origin,
    };
    beginning(current, found.into_iter().map(pkgbase).collect())
}

/// Completes a pattern of pkgbases that the namespace on the command line includes.
pub(crate) fn included(current: &OsStr) -> Vec<CompletionCandidate> {
    beginning(
        current,
        patterns_of("included", |namespace| namespace.include),
    )
}

/// Completes a pattern of pkgbases that the namespace on the command line excludes.
pub(crate) fn excluded(current: &OsStr) -> Vec<CompletionCandidate> {
    beginning(
        current,
        patterns_of("excluded", |namespace| namespace.exclude),
    )
}

fn patterns_of(kind: &str, of: impl FnOnce(NamespaceDetail) -> Vec<String>) -> Vec<String> {
    let Some((question, namespace)) = Question::of_namespace(kind) else {
        return Vec::new();
    };
    question.answer(async |client| {
        let namespace = client.namespace(&namespace).await.ok()?;
        Some(of(namespace))
    })
}

/// Completes the pkgbase of a build of the namespace that is already on the command line.
pub(crate) fn builds(current: &OsStr) -> Vec<CompletionCandidate> {
    let Some((question, namespace)) = Question::of_namespace("builds") else {
        return Vec::new();
    };
    let prefix = current.to_str().unwrap_or_default().to_owned();
    let question = question.narrowed(&prefix);
    let found = question.answer(async |client| builds_of(&client, &namespace, prefix).await);
    beginning(current, found)
}

async fn builds_of(
    client: &Client,
    namespace: &NamespaceName,
    prefix: String,
) -> Option<Vec<String>> {
    let iteration = client.iteration_overview(namespace, None).await.ok()?;
    let query = BuildQuery {
        prefix: Some(prefix).filter(|prefix| !prefix.is_empty()),
        ..BuildQuery::default()
    };
    let number = iteration.summary.number;
    let builds = client.builds(namespace, number, &query, Some(MOST_BUILDS));
    let builds = builds.await.ok()?;
    Some(sorted(builds.iter().map(|build| build.pkgbase.to_string())))
}
