//! What may follow on the command line: names that the server knows. Asks it within a short time, keeps the answers for
//! a moment, and is silent about every failure.

mod cache;
mod packages;
mod places;
mod question;
mod values;
mod words;

pub(crate) use packages::{
    builds, excluded, included, origins, patterns, pkgbases, removed_origins,
};
pub(crate) use places::{
    architectures, built_architectures, compared_iterations, folders_and_namespaces, iterations,
    namespaces, people, tokens, workers,
};
pub(crate) use values::{
    build_states, iteration_states, missing_keys, network_policies, priorities, scopes,
};
