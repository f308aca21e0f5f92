//! The errors that stop a worker.

use std::path::PathBuf;

use buildbtw_builder::MissingRequirements;
use buildbtw_model::client::ClientError;

/// An error that stops a worker. Its message contains the cause, which is therefore not a source of it.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The scratch folder cannot be used.
    #[error("cannot use the scratch folder `{path}`: {error}")]
    Scratch {
        /// The folder.
        path: PathBuf,
        /// The cause.
        error: std::io::Error,
    },
    /// Another worker uses the scratch folder.
    #[error(
        "another worker uses the scratch folder `{path}`\n\
         hint: give each worker its own with --scratch-dir"
    )]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// The machine lacks a program or permission that builds need.
    #[error(transparent)]
    Requirements(#[from] MissingRequirements),
    /// Builds that a killed worker left cannot be removed.
    #[error("cannot clean up after builds of an earlier run: {error}")]
    Reap {
        /// The cause.
        error: std::io::Error,
    },
    /// The server rejected the token.
    #[error(
        "the server at {server} rejected this worker's token: {error}\n\
         hint: create one with `buildbtw token create --scope worker` and set --token-file; finished builds \
         are kept in the scratch folder and reported with the new token"
    )]
    Denied {
        /// The server's address.
        server: String,
        /// The server's error.
        error: ClientError,
    },
    /// The server rejected a claim, or its response was unexpected.
    #[error("cannot claim builds from the server at {server}: {error}")]
    Rejected {
        /// The server's address.
        server: String,
        /// The server's error.
        error: ClientError,
    },
    /// Metrics cannot be served.
    #[error("{0}\nhint: {hint}", hint = .0.hint())]
    Metrics(#[from] buildbtw_metrics::ListenError),
    /// A task of this program panicked.
    #[error("a task of the worker ended unexpectedly: {0}")]
    Task(#[from] tokio::task::JoinError),
}
