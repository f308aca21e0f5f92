//! Pulls builds from a buildbtw server, runs them and reports what came of them.
//!
//! Nothing that was built is lost: every report is repeated until the server has answered it, across
//! restarts of the server and of the worker. What is needed for that lies in the scratch folder:
//!
//! ```text
//! lock                        held while a worker uses the folder
//! claims/<claim id>           asked for, not yet answered: asked again with the same id
//! attempts/<attempt id>/      an attempt that was handed out and is not yet reported
//!   log                       what the build wrote; streamed from here
//!   packages/                 what it produced
//!   outcome.json              how it ended; absent while it runs
//! sandbox/                    the builder's own
//! ```

mod attempt;
mod claim;
pub mod cli;
mod config;
mod context;
mod error;
mod resume;
mod scratch;
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
