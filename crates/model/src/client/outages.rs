//! `/outages`.

use super::Client;
use super::error::ClientError;
use crate::api::TaskOutage;

impl Client {
    /// Returns the current outages of the server's background tasks, ordered by task.
    ///
    /// # Errors
    /// Fails when the server cannot be reached or rejects the request.
    pub async fn outages(&self) -> Result<Vec<TaskOutage>, ClientError> {
        self.all_pages(&["outages"]).await
    }
}
