//! Claims builds from a buildbtw server, runs them and reports their outcomes.
//!
//! No finished build is lost: every report is retried until the server has accepted it, across restarts of the server
//! and of the worker. The scratch folder holds the state for that:
//!
//! ```text
//! lock                        held while a worker uses the folder
//! claims/<claim id>           a claim without a response, which is repeated with the same id
//! attempts/<attempt id>/      an attempt whose outcome is not reported yet
//!   log                       the log of the build, streamed to the server
//!   packages/                 the packages
//!   outcome.json              the outcome; absent while the build runs
//! sandbox/                    the builder's own files
//! ```

mod attempt;
mod claim;
pub mod cli;
mod config;
mod context;
pub mod doctor;
mod error;
mod machine;
mod metrics;
mod resume;
mod scratch;
mod service_manager;
mod shutdown;
mod slot;
#[cfg(test)]
mod tests;
mod token;
mod worker;

pub use config::{BuilderConfig, Config};
pub use error::WorkerError;
pub use shutdown::Shutdown;
pub use worker::run;
