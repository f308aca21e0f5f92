//! The request log.

use std::sync::Mutex;

use jiff::Timestamp;

use crate::lock;

/// A request and its response.
#[derive(Clone, Debug)]
pub struct RequestRecord {
    /// When it arrived, by the stand-in's clock.
    pub at: Timestamp,
    /// Its method.
    pub method: String,
    /// Its path, with the query.
    pub path: String,
    /// The name of the GraphQL operation; a batch has several, separated by commas.
    pub operation: Option<String>,
    /// The variables of the GraphQL query, if it is not a batch.
    pub variables: Option<serde_json::Value>,
    /// The complexity of the GraphQL query, or the sum of a batch.
    pub complexity: Option<u64>,
    /// The status of the response; none if the connection was dropped instead.
    pub status: Option<u16>,
    /// The length of the response body, if it was known in advance.
    pub response_bytes: Option<u64>,
}

/// What the endpoint knows about a GraphQL request, attached to its response for the log.
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
