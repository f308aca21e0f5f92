//! Why a worker stops by itself.

use std::path::PathBuf;

use buildbtw_builder::MissingRequirements;
use buildbtw_model::client::ClientError;

/// Why a worker cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The scratch folder cannot be used.
    #[error("cannot use the scratch folder {path}: {source}")]
    Scratch {
        /// The folder.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// Another worker has it.
    #[error(
        "another worker uses the scratch folder {path}; give each worker its own with --scratch-dir"
    )]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// The machine lacks something.
    #[error(transparent)]
    Requirements(#[from] MissingRequirements),
    /// What a killed worker left behind cannot be removed.
    #[error("cannot clean up after builds of an earlier run: {source}")]
    Reap {
        /// The cause.
        source: std::io::Error,
    },
    /// The server wants another token.
    #[error(
        "the server at {server} refuses this worker's token: {source}\n\
         make one with `buildbtw token create --scope worker` and pass it with --token-file; finished \
         builds stay in the scratch folder and are reported then"
    )]
    Denied {
        /// The server's address.
        server: String,
        /// What it said.
        source: ClientError,
    },
    /// The server answers, but not as expected.
    #[error("the server at {server} does not hand out builds to this worker: {source}")]
    Refused {
        /// The server's address.
        server: String,
        /// What it said.
        source: ClientError,
    },
    /// A fault of this program.
    #[error("a task of the worker ended unexpectedly: {0}")]
    Task(#[from] tokio::task::JoinError),
}
