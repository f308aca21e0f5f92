//! What operators do to a data folder beside running the server.

pub mod backup;
pub mod check;
pub mod ci_config;
mod findings;
