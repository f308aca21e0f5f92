//! `/activity`.

use serde::Serialize;

use super::Client;
use super::error::ClientError;
use crate::NamespaceName;
use crate::api::Activity;

/// The activities to list. An absent value excludes none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ActivityQuery {
    /// The name of the token that they were requested with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Their namespace, which may be deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<NamespaceName>,
}

impl Client {
    /// Returns activities, the newest first: all that match, or the first `most`.
    ///
    /// # Errors
    /// Fails when the server cannot be reached or rejects the request.
    pub async fn activity(
        &self,
        query: &ActivityQuery,
        most: Option<u32>,
    ) -> Result<Vec<Activity>, ClientError> {
        self.entries(&["activity"], query, most).await
    }
}
