//! Values that are the same on every server.

use buildbtw_model::{BuildStatus, IterationStatus, MissingKeys, NetworkPolicy, Priority, Scope};
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};

/// Returns the extents of a rebuild.
pub(crate) fn scopes() -> ArgValueCandidates {
    described(vec![
        (Scope::Origin.as_str(), "the origins only"),
        (
            Scope::Direct.as_str(),
            "plus what depends on them directly at run time",
        ),
        (
            Scope::Soname.as_str(),
            "the origins plus what depends on their sonames",
        ),
        (
            Scope::Transitive.as_str(),
            "plus everything that depends on them at run time",
        ),
        (
            Scope::All.as_str(),
            "plus everything that needs those to be built or checked",
        ),
    ])
}

/// Returns the states of builds.
pub(crate) fn build_states() -> ArgValueCandidates {
    names(BuildStatus::ALL.iter().map(|state| state.as_str()))
}

/// Returns the states of iterations.
pub(crate) fn iteration_states() -> ArgValueCandidates {
    names(IterationStatus::ALL.iter().map(|state| state.as_str()))
}

/// Returns the network policies.
pub(crate) fn network_policies() -> ArgValueCandidates {
    names(NetworkPolicy::ALL.iter().map(|policy| policy.as_str()))
}

/// Returns the priorities of namespaces.
pub(crate) fn priorities() -> ArgValueCandidates {
    names(Priority::ALL.iter().map(|priority| priority.as_str()))
}

/// Returns what happens when a key is missing.
pub(crate) fn missing_keys() -> ArgValueCandidates {
    names(MissingKeys::ALL.iter().map(|action| action.as_str()))
}

fn names(values: impl Iterator<Item = &'static str>) -> ArgValueCandidates {
    let values: Vec<&str> = values.collect();
    ArgValueCandidates::new(move || values.iter().map(CompletionCandidate::new).collect())
}

fn described(values: Vec<(&'static str, &'static str)>) -> ArgValueCandidates {
    ArgValueCandidates::new(move || {
        let candidate = |(value, help): &(&str, &str)| {
            CompletionCandidate::new(*value).help(Some((*help).to_owned().into()))
        };
        values.iter().map(candidate).collect()
    })
}
