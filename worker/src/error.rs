//! The errors that stop a worker.

use std::path::PathBuf;

use buildbtw_builder::MissingRequirements;
use buildbtw_model::Explanation;
use buildbtw_model::client::ClientError;

/// An error that stops a worker. Its message contains the cause, which is therefore not a source of it;
/// [`WorkerError::explanation`] also has the hint.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The scratch folder cannot be used.
    #[error("cannot use the scratch folder `{path}`: {}", .error.message)]
    Scratch {
        /// The folder.
        path: PathBuf,
        /// The cause.
        error: Explanation,
    },
    /// Another worker uses the scratch folder.
    #[error("another worker uses the scratch folder `{path}`")]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// The machine lacks a program or permission that builds need.
    #[error("{}", .0.explanation().message)]
    Requirements(MissingRequirements),
    /// Builds that a killed worker left cannot be removed.
    #[error("cannot clean up after builds of an earlier run: {error}")]
    Reap {
        /// The cause.
        error: std::io::Error,
    },
    /// The server rejected the token.
    #[error("the server at {server} rejected this worker's token: {error}")]
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
    #[error("{0}")]
    Metrics(buildbtw_metrics::ListenError),
    /// A task of this program panicked.
    #[error("a task of the worker ended unexpectedly: {0}")]
    Task(#[from] tokio::task::JoinError),
}

// Not `#[from]`, which would make the cause a source: it would be printed twice.
impl From<MissingRequirements> for WorkerError {
    fn from(missing: MissingRequirements) -> Self {
        Self::Requirements(missing)
    }
}

impl From<buildbtw_metrics::ListenError> for WorkerError {
    fn from(error: buildbtw_metrics::ListenError) -> Self {
        Self::Metrics(error)
    }
}

impl WorkerError {
    /// Returns what failed and what to do next.
    #[must_use]
    pub fn explanation(&self) -> Explanation {
        Explanation {
            message: self.to_string(),
            hint: self.hint(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Scratch { error, .. } => error.hint.clone(),
            Self::InUse { .. } => Some("give each worker its own with --scratch-dir".to_owned()),
            Self::Requirements(missing) => missing.explanation().hint,
            Self::Denied { .. } => Some(
                "create one with `buildbtw token create --scope worker` and set --token-file; finished builds \
                 are kept in the scratch folder and reported with the new token"
                    .to_owned(),
            ),
            Self::Rejected { error, .. } => error.hint(),
            Self::Metrics(error) => Some(error.hint()),
            Self::Reap { .. } | Self::Task(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use buildbtw_model::api::{Problem, ProblemKind};

    use super::*;
    use crate::{attempt, cli, scratch};

    fn refused(kind: ProblemKind) -> ClientError {
        ClientError::Refused(Problem {
            kind,
            title: "as the server says".to_owned(),
            status: 400,
            detail: None,
            hint: Some("do what the server says".to_owned()),
            trace_id: None,
        })
    }

    #[tokio::test]
    async fn errors_match_snapshot() {
        let (path, server) = (PathBuf::from("/var/lib/w"), "http://server".to_owned());
        // An address of no machine (RFC 5737).
        let address: SocketAddr = "192.0.2.1:9467".parse().unwrap();
        let metrics = buildbtw_metrics::listen(address, "--metrics-listen").await;
        let aborted = tokio::spawn(std::future::pending::<()>());
        aborted.abort();
        // Other tests of this process have tasks, too.
        let id = format!("task {} ", aborted.id());
        let errors = [
            WorkerError::Scratch {
                path: path.clone(),
                error: scratch::other_owner(&path, 1000, 7),
            },
            WorkerError::InUse { path },
            WorkerError::Requirements(MissingRequirements {
                missing: vec!["the program `bwrap`".to_owned()],
            }),
            WorkerError::Reap {
                error: std::io::Error::other("no"),
            },
            WorkerError::Denied {
                server: server.clone(),
                error: refused(ProblemKind::Unauthenticated),
            },
            WorkerError::Rejected {
                server,
                error: refused(ProblemKind::InvalidRequest),
            },
            WorkerError::Metrics(metrics.unwrap_err()),
            WorkerError::Task(aborted.await.unwrap_err()),
        ];
        for error in &errors {
            match error {
                WorkerError::Scratch { .. }
                | WorkerError::InUse { .. }
                | WorkerError::Requirements(_)
                | WorkerError::Reap { .. }
                | WorkerError::Denied { .. }
                | WorkerError::Rejected { .. }
                | WorkerError::Metrics(_)
                | WorkerError::Task(_) => {}
            }
        }
        let text = errors.map(|error| error.explanation().to_string());
        let text = text.join("\n\n").replace(&id, "task N ");
        let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
        let others = [cli::no_name().to_string(), attempt::not_writable(&full)];
        insta::assert_snapshot!(format!("{text}\n\n{}", others.join("\n\n")));
    }
}
