//! Actions of tests and users that do not go through the APIs.

pub(crate) mod ci;
pub(crate) mod commits;
pub(crate) mod hooks;
pub(crate) mod import;
pub(crate) mod merge_requests;
pub(crate) mod projects;
pub(crate) mod pushes;
pub(crate) mod runners;
pub(crate) mod settings;
pub(crate) mod tokens;
