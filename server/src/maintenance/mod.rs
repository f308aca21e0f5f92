//! Maintenance of a data folder and of GitLab projects, apart from running the server.

pub mod backup;
pub mod check;
pub mod ci_config;
mod files;
mod findings;
mod uploads;
