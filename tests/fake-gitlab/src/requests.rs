//! The log of what was asked of the stand-in.

use std::sync::Mutex;

use jiff::Timestamp;

use crate::lock;

/// A request and what became of it.
#[derive(Clone, Debug)]
pub struct RequestRecord {
    /// When it arrived, by the stand-in's clock.
    pub at: Timestamp,
    /// Its method.
    pub method: String,
    /// Its path, with the query.
    pub path: String,
    /// The name of the GraphQL operation; several of a batch are separated by commas.
    pub operation: Option<String>,
    /// The variables of the GraphQL query, if it is not a batch.
    pub variables: Option<serde_json::Value>,
    /// What the GraphQL query cost, the sum for a batch.
    pub complexity: Option<u64>,
    /// The status of the answer; none if the connection was dropped instead.
    pub status: Option<u16>,
    /// How long the answer's body was, if that was known when it was begun.
    pub response_bytes: Option<u64>,
}

/// What an endpoint knows about a GraphQL request, left with its answer for the log.
#[derive(Clone, Debug)]
pub(crate) struct GraphqlFacts {
    pub(crate) complexity: u64,
}

#[derive(Debug, Default)]
pub(crate) struct RequestLog(Mutex<Vec<RequestRecord>>);

impl RequestLog {
    pub(crate) fn add(&self, record: RequestRecord) {
        lock(&self.0).push(record);
    }

    pub(crate) fn all(&self) -> Vec<RequestRecord> {
        lock(&self.0).clone()
    }

    pub(crate) fn clear(&self) {
        lock(&self.0).clear();
    }
}
